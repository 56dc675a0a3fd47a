"""Images that are known by their address alone, among the captures of the archives that their pages came from."""

from collections.abc import Iterator

import apache_beam as beam

from data_pipelines import addresses
from data_pipelines.m3w.archives import Capture
from data_pipelines.pipeline.flow import Flow
from data_pipelines.pipeline.links import Locator
from data_pipelines.pipeline.sketch import Medium


def locator(images: beam.PCollection) -> Locator:
    """Among (address, `Capture`) of images: under the address as it stands, then without its query."""

    def locate(flow: Flow, links: beam.PCollection) -> beam.PCollection:
        wanted = links | "addresses of links" >> beam.FlatMap(_addresses)
        found = flow.join("captures of links", _found, images, wanted)
        return found | "the likeliest" >> beam.CombinePerKey(min) | "captures" >> beam.MapTuple(_medium)

    return locate


def _addresses(urls: tuple[str, ...]) -> Iterator[tuple[str, tuple[tuple[str, ...], int]]]:
    ranked = dict.fromkeys((*urls, *map(addresses.without_query, urls)))
    return ((url, (urls, rank)) for rank, url in enumerate(ranked))


def _found(url: str, captures: list[Capture], wanted: list) -> Iterator:
    del url
    newest = max(captures, key=lambda capture: capture.order, default=None)
    if newest is not None:
        for urls, rank in wanted:
            yield urls, (rank, newest.url, newest.reference)


def _medium(urls: tuple[str, ...], best: tuple) -> tuple[tuple[str, ...], Medium]:
    return urls, Medium("image", best[1], best[2])
