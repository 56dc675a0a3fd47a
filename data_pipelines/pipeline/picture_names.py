"""One name for all copies of a picture in a corpus, found in buckets where copies meet."""

import dataclasses
from collections.abc import Iterable, Iterator

import apache_beam as beam

from data_pipelines.copies import image_duplicates
from data_pipelines.copies.image_duplicates import ImageDuplicates
from data_pipelines.pipeline.flow import Flow
from flamingo_jax.data.duplicates import Fingerprint


def name(flow: Flow, judged: beam.PCollection, config: ImageDuplicates) -> beam.PCollection:
    """(thing, `Facts`) with the names of pictures replaced by those that they share with their copies."""
    unknown, known = judged | "identified or not" >> beam.Partition(
        lambda pair, _: int(pair[1].fingerprint is not None), 2
    )
    by_digest = known | "by digest" >> beam.Map(lambda pair: (pair[1].name, pair))
    pictures = (
        by_digest
        | "pictures" >> beam.MapTuple(lambda digest, pair: (digest, pair[1].fingerprint))
        | "one a digest" >> beam.CombinePerKey(min)
        | "fingerprints" >> beam.Values()
    )
    smallest = (
        pictures
        | "picture buckets" >> beam.FlatMap(_buckets, config)
        | "pictures of a bucket" >> beam.GroupByKey()
        | "smallest of the bucket" >> beam.FlatMap(_smallest)
    )
    renamed = flow.join("names of pictures", _Renamed(config), smallest, by_digest)
    return (renamed, unknown) | "all judged" >> beam.Flatten()


def _buckets(picture: Fingerprint, config: ImageDuplicates) -> Iterator[tuple[tuple[int, int], Fingerprint]]:
    return ((bucket, picture) for bucket in image_duplicates.buckets(picture, config))


def _smallest(bucket: tuple) -> Iterator[tuple[str, Fingerprint]]:
    """(digest of a picture, the smallest of one of its buckets)."""
    _, pictures = bucket
    first = min(pictures)
    for picture in pictures:
        if picture != first:
            yield picture.digest.hex(), first


class _Renamed:
    def __init__(self, config: ImageDuplicates):
        self._config = config

    def __call__(self, digest: str, smallest: Iterable[Fingerprint], judged: Iterable[tuple]) -> Iterator[tuple]:
        del digest
        candidates = sorted(set(smallest))
        for thing, facts in judged:
            if not candidates:
                yield thing, facts
            else:
                known = image_duplicates.representative(facts.fingerprint, candidates, self._config)
                yield thing, dataclasses.replace(facts, name=known.digest.hex())
