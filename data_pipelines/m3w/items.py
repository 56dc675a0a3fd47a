"""What a page consists of: runs of text and references to images."""

import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Sequence

_CLOSING = tuple(".,;:!?)]")  # what follows the word before it at once


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


def merge_paragraphs(items: Iterable) -> list:
    """Joins neighbouring runs of one block, which an image parted that has been dropped since."""
    merged: list = []
    for block, neighbours in itertools.groupby(items, lambda item: getattr(item, "block", None)):
        runs = list(neighbours)
        if block is None or len(runs) == 1:
            merged += runs
        else:
            merged.append(dataclasses.replace(runs[0], text="".join(_spaced(runs))))
    return merged


def _spaced(runs: Sequence[Paragraph]) -> Iterator[str]:
    yield runs[0].text
    for run in runs[1:]:
        if not run.text.startswith(_CLOSING):
            yield " "
        yield run.text
