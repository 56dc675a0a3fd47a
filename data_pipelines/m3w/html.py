"""A page's HTML to its paragraphs and image references, in document order."""

import dataclasses

from selectolax.lexbor import LexborHTMLParser

from data_pipelines.m3w import boilerplate
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
    """Walks the page once, without recursion, so that no depth of nesting can break it."""
    tree = LexborHTMLParser(html)
    base = tree.css_first("base[href]")
    walk = Walk(rules)
    if tree.body is not None:
        walk.run(tree.body)
    href = base.attributes.get("href") if base is not None else None
    return Extraction(tuple(walk.items), href, dict(walk.dropped), walk.examples)
