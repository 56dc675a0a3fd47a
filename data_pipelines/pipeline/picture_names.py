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
    by_digest = judged | "by digest" >> beam.Map(lambda pair: (pair[1].name, pair))
    pictures = (
        by_digest
        | "pictures" >> beam.FlatMap(_picture)
        | "one a digest" >> beam.CombinePerKey(min)
        | "fingerprints" >> beam.Values()
    )
    smallest = (
        pictures
        | "picture buckets" >> beam.FlatMap(_buckets, config)
        | "pictures of a bucket" >> beam.GroupByKey()
        | "smallest of the bucket" >> beam.FlatMap(_smallest)
    )
    return flow.join("names of pictures", _Renamed(config), smallest, by_digest)


def _picture(keyed: tuple[str, tuple]) -> Iterator[tuple[str, Fingerprint]]:
    digest, (_, facts) = keyed
    if facts.fingerprint is not None:
        yield digest, facts.fingerprint


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
            if facts.fingerprint is None or not candidates:
                yield thing, facts
            else:
                known = image_duplicates.representative(facts.fingerprint, candidates, self._config)
                yield thing, dataclasses.replace(facts, name=known.digest.hex())
