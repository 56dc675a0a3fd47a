"""The bytes of one page to its content, and to what was dropped of it."""

from collections.abc import Callable, Iterator

from data_pipelines import addresses
from data_pipelines.m3w import pages
from data_pipelines.m3w.config import M3WConfig
from data_pipelines.m3w.items import Paragraph
from data_pipelines.m3w.page import Item, Page
from data_pipelines.pipeline.sketch import Drop, Link, Medium

Locate = Callable[[str | None, tuple[str, ...]], Medium | Link | str]
"""(the page's `<base href>`, the addresses of one image as they stand in the page) -> the image, or the rule that
refuses it."""


def on_the_web(page: str) -> Locate:
    """Images of the page at this address, known by their addresses."""

    def locate(base: str | None, urls: tuple[str, ...]) -> Link | str:
        found = dict.fromkeys(address for url in urls if (address := addresses.absolute(page, base, url)))
        return Link("image", tuple(found)) if found else "image_not_on_the_web"

    return locate


def read_page(key: str, encoded: bytes, config: M3WConfig, locate: Locate) -> Iterator[Page | Drop]:
    """One page and the drops of its parts, or the one drop of the page."""
    extraction = pages.extract(encoded, config)
    if isinstance(extraction, str):
        yield Drop(extraction, "page", key)
        return
    for rule, count in extraction.dropped.items():
        example = extraction.dropped_examples.get(rule)
        yield Drop(rule, "paragraph", f"{key}: {example}" if example else "", count=count)
    items: list[Item] = []
    for item in extraction.items:
        if isinstance(item, Paragraph):
            items.append(item)
            continue
        found = locate(extraction.base, item.candidates)
        if isinstance(found, str):
            yield Drop(found, "image", f"{key}: {item.candidates[0]}")
        else:
            items.append(found)
    page = Page(key, tuple(items))
    if page.has_images:
        yield page
    else:
        yield Drop("page_left_without_images", "page", key)
