"""What a page consists of: runs of text and references to images."""

import dataclasses


@dataclasses.dataclass(frozen=True, slots=True)
class Paragraph:
    """A run of text, its white space normalised.

    `block` numbers the block element: two runs of one block stood in one paragraph, with an image between them.
    `kind` is "text", "heading", "caption" or "list_item".
    """

    text: str
    block: int
    kind: str = "text"


@dataclasses.dataclass(frozen=True, slots=True)
class ImageReference:
    """An image of the page: the URLs that may hold it, the most likely first, as they stand in the page."""

    candidates: tuple[str, ...]


def merge_paragraphs(items: list) -> list:
    """Joins neighbouring runs of one block, which an image parted that has been dropped since."""
    merged: list = []
    for item in items:
        last = merged[-1] if merged else None
        if isinstance(item, Paragraph) and isinstance(last, Paragraph) and item.block == last.block:
            merged[-1] = dataclasses.replace(last, text=f"{last.text} {item.text}")
        else:
            merged.append(item)
    return merged
