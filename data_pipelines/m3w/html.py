"""A page's HTML to its paragraphs and image references, in document order."""

import dataclasses

from selectolax.lexbor import LexborHTMLParser

from data_pipelines.m3w import boilerplate, tree
from data_pipelines.m3w.items import ImageReference, Paragraph
from data_pipelines.m3w.walk import Walk


@dataclasses.dataclass(frozen=True)
class Extraction:
    """What one page holds.

    `base` is the page's `<base href>` or None. `dropped` counts by rule the blocks that held text, however many
    paragraphs each, and `dropped_examples` has the text of the first one of each.
    """

    items: tuple[Paragraph | ImageReference, ...]
    base: str | None
    dropped: dict[str, int]
    dropped_examples: dict[str, str]


def extract(html: str, rules: boilerplate.BoilerplateRules) -> Extraction:
    """Walks the page once, without recursion, so that no depth of nesting can break it.

    Where `main` (elements with role "main" count too) holds text, and at least half of all that is left, it is the page
    and what stands outside is dropped as "outside_main".
    """
    page = LexborHTMLParser(html)
    base = page.head.css_first("base[href]") if page.head is not None else None
    tree.move_captions(page)
    walk = Walk(page, rules)
    walk.run()
    items = _of_main(walk)
    href = base.attributes.get("href") if base is not None else None
    return Extraction(tuple(items), href, dict(walk.dropped), walk.examples)


def _of_main(walk: Walk) -> list[Paragraph | ImageReference]:
    items, outside = [], []
    end = 0
    for start, stop in walk.mains:
        outside += walk.items[end:start]
        items += walk.items[start:stop]
        end = stop
    outside += walk.items[end:]
    characters = _characters(items)
    if characters == 0 or characters < _characters(outside):
        return walk.items
    for item in outside:
        if isinstance(item, Paragraph):
            walk.count("outside_main", item.text)
    return items


def _characters(items: list[Paragraph | ImageReference]) -> int:
    return sum(len(item.text) for item in items if isinstance(item, Paragraph))
