"""Images that are known by their address alone, in the store of those that were fetched, or fetched now."""

from collections.abc import Iterable, Iterator

import apache_beam as beam

from data_pipelines.fetching.fetcher import fetch
from data_pipelines.fetching.sharing import Fetching, partition
from data_pipelines.fetching.store import ImageStore
from data_pipelines.pipeline.flow import Flow
from data_pipelines.pipeline.links import Locator
from data_pipelines.pipeline.sketch import Medium

NOT_FETCHED = "image_not_fetched"


def locator(folder: str, fetching: Fetching | None) -> Locator:
    """Looks images up in the store at `folder`; with `fetching`, what is not there is fetched first."""

    def locate(flow: Flow, links: beam.PCollection) -> beam.PCollection:
        if fetching is not None:
            dealt = (
                links | "deal hosts" >> beam.Map(partition, fetching.partitions) | "links by host" >> beam.GroupByKey()
            )
            links = flow.stage("fetch", dealt, _Fetch(folder, fetching)) | "spread fetched links" >> beam.Reshuffle()
        return flow.stage("look into the store", links, _Lookup(folder), count="links looked up")

    return locate


class _Lookup:
    """Yields (addresses, `Medium` or rule)."""

    def __init__(self, folder: str):
        self._folder = folder

    def __call__(self, urls: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Medium | str]]:
        yield urls, look(ImageStore(self._folder), urls)


def look(store: ImageStore, urls: tuple[str, ...]) -> Medium | str:
    """The first of the addresses that was fetched, else the rule that refused the first one that was refused."""
    refusal = NOT_FETCHED
    for url in urls:
        found = store.lookup(url)
        if isinstance(found, str):
            refusal = found if refusal == NOT_FETCHED else refusal
        elif found is not None:
            return Medium("image", url, found)
    return refusal


class _Fetch:
    """Fetches the images of some hosts, and yields their links.

    First each one's likeliest address is asked for, then the next of those that failed.
    """

    def __init__(self, folder: str, fetching: Fetching):
        self._folder, self._fetching = folder, fetching

    def __call__(self, element: tuple[int, Iterable[tuple[str, ...]]]) -> Iterator:
        _, links = element
        store = ImageStore(self._folder)
        for attempt in range(self._fetching.most_addresses):
            missing = (urls[attempt] for urls in links if attempt < len(urls) and isinstance(look(store, urls), str))
            fetch(missing, store, self._fetching.limits)
        yield from links
