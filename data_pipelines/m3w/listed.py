"""Pages that are known by their address alone: a list of addresses, fetched into a store or found in it."""

import functools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import apache_beam as beam

from data_pipelines import addresses
from data_pipelines.fetching.fetcher import fetch
from data_pipelines.fetching.sharing import Fetching, partition
from data_pipelines.fetching.store import ImageStore
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
    listed = flow.create("addresses", urls)
    if fetching is not None:
        by_host = listed | "deal addresses" >> beam.Map(lambda url: partition((url,), fetching.partitions))
        fetch_them = functools.partial(_fetch, folder=folder, fetching=fetching)
        listed = flow.stage("fetch pages", by_host | "pages by host" >> beam.GroupByKey(), fetch_them)
        listed = listed | "spread fetched pages" >> beam.Reshuffle()
    return flow.stage("read listed pages", listed, functools.partial(_read, folder=folder, config=config))


def _fetch(element: tuple[int, Iterable[tuple[str]]], folder: str, fetching: Fetching) -> Iterator[str]:
    """Fetches the pages of some hosts; yields their addresses."""
    fetch((url for (url,) in element[1]), ImageStore(folder, "page"), fetching.limits)
    for (url,) in element[1]:
        yield url


def _read(url: str, folder: str, config: M3WConfig) -> Iterator[Page | Drop]:
    found = ImageStore(folder, "page").lookup(url)
    if found is None or isinstance(found, str):
        yield Drop(found or "page_not_fetched", "page", url)
    else:
        yield from read_page(url, references.read(found), config, on_the_web(url))
