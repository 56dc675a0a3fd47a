"""Pages that are known by their address alone: a list of addresses, fetched into a store or found in it."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import apache_beam as beam

from data_pipelines.fetching.fetcher import fetch
from data_pipelines.fetching.sharing import Fetching, partition
from data_pipelines.fetching.store import ImageStore
from data_pipelines.m3w import addresses
from data_pipelines.m3w.config import M3WConfig
from data_pipelines.m3w.page import Page
from data_pipelines.m3w.reading import on_the_web, read_page
from data_pipelines.output import BuildError
from data_pipelines.pipeline import references
from data_pipelines.pipeline.flow import Flow
from data_pipelines.pipeline.sketch import Drop


def read_list(path: Path) -> list[str]:
    """The addresses in a text file, one a line; empty lines and those that begin with # are passed over.

    Raises:
      BuildError: there is none, or a line is no address.
    """
    found: dict[str, None] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        if not (address := addresses.absolute(text, None, "")):
            raise BuildError(
                f"--input {path}, line {number}: {text[:80]!r} is not an address such as https://a.org/b.html"
            )
        found[address] = None
    if not found:
        raise BuildError(f"--input {path} has no address in it")
    return list(found)


def pages(
    flow: Flow, urls: Sequence[str], folder: str, fetching: Fetching | None, config: M3WConfig
) -> beam.PCollection:
    """The pages at these addresses, from the store at `folder`; with `fetching`, what it lacks is fetched first."""
    partitions = fetching.partitions if fetching else 1
    by_host = flow.create("addresses", urls) | "deal addresses" >> beam.Map(lambda url: partition((url,), partitions))
    return flow.stage("read listed pages", by_host | beam.GroupByKey(), _Read(folder, fetching, config))


class _Read:
    def __init__(self, folder: str, fetching: Fetching | None, config: M3WConfig):
        self._folder, self._fetching, self._config = folder, fetching, config

    def __call__(self, element: tuple[int, Iterable[tuple[str]]]) -> Iterator[Page | Drop]:
        urls = [url for (url,) in element[1]]
        store = ImageStore(self._folder, "page")
        if self._fetching is not None:
            fetch(iter(urls), store, self._fetching.limits)
        for url in urls:
            found = store.lookup(url)
            if found is None or isinstance(found, str):
                yield Drop(found or "page_not_fetched", "page", url)
            else:
                yield from read_page(url, references.read(found), self._config, on_the_web(url))
