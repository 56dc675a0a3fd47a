"""The documents of a stored dataset, counted and partly kept to be shown."""

import dataclasses
from collections import Counter
from collections.abc import Callable
from typing import Any

from tqdm import tqdm

from flamingo_jax.data.document import Document, Image, Text, Video
from flamingo_jax.data.errors import RecordError
from flamingo_jax.data.inspect.media_facts import MediumFacts, medium_facts
from flamingo_jax.data.inspect.row_statistics import media_summary
from flamingo_jax.data.inspect.spread import spread
from flamingo_jax.data.randomness import permutation
from flamingo_jax.data.sources import Source

_MOST_EXAMPLES = 5
_LOOKED_AT = 20  # documents, for their kind


def _misfit_page(document: Document) -> str:
    return "" if document.media else "no image"


def _misfit_pair(document: Document, medium: type) -> str:
    if [type(item) for item in document.media] != [medium]:
        return f"{len(document.media)} media"
    return "" if document.text else "no caption"


def _misfit_text(document: Document) -> str:
    return f"{len(document.media)} media" if document.media else "" if document.text else "no text"


KINDS: dict[str, Callable[[Document], str]] = {
    "interleaved": _misfit_page,
    "pairs": lambda document: _misfit_pair(document, Image),
    "video": lambda document: _misfit_pair(document, Video),
    "text": _misfit_text,
}
"""For each kind of dataset, why a document is none of it; empty if it is one."""


def guess_kind(documents: list[Document]) -> str:
    """The narrowest kind that most of the documents are of."""
    fitting = {kind: sum(not misfit(document) for document in documents) for kind, misfit in KINDS.items()}
    narrow = max(("pairs", "video", "text"), key=fitting.__getitem__)
    return narrow if 2 * fitting[narrow] > len(documents) else "interleaved"


class DocumentStatistics:
    """Counts documents."""

    def __init__(self, records: int, kind: str, given: bool):
        self._kind, self._given, self._records, self._damaged = kind, given, records, 0
        self._counts: dict[str, list[int]] = {name: [] for name in ("paragraphs", "words", "images", "clips", "bytes")}
        self._media: dict[type, list[MediumFacts]] = {Image: [], Video: []}
        self._unfit: Counter[str] = Counter()
        self._examples: list[str] = []

    def add(self, document: Document) -> None:
        """Counts one."""
        texts = [item.text for item in document.items if isinstance(item, Text)]
        counts = {
            "paragraphs": len(texts),
            "words": sum(len(text.split()) for text in texts),
            "images": sum(isinstance(item, Image) for item in document.items),
            "clips": sum(isinstance(item, Video) for item in document.items),
            "bytes": sum(len(medium.encoded) for medium in document.media) + sum(len(text.encode()) for text in texts),
        }
        for name, count in counts.items():
            self._counts[name].append(count)
        for medium in document.media:
            self._media[type(medium)].append(medium_facts(medium))
        if reason := KINDS[self._kind](document):
            self._unfit[reason] += 1
            if len(self._examples) < _MOST_EXAMPLES:
                self._examples.append(f"{document.key}: {reason}")

    def add_damaged(self) -> None:
        """Counts a record that is no document."""
        self._damaged += 1

    def summary(self) -> dict[str, Any]:
        """All figures, as JSON has them; those of paragraphs, words and so on are spreads over the documents."""
        return {
            "records": self._records,
            "documents": len(self._counts["words"]),
            "damaged_records": self._damaged,
            "kind": self._kind,
            "kind_given": self._given,
            "unfit": {"count": self._unfit.total(), "examples": self._examples},
            **{name: spread(values) for name, values in self._counts.items()},
            "stills": media_summary(self._media[Image]),
            "videos": media_summary(self._media[Video]),
        }


@dataclasses.dataclass(frozen=True)
class InspectedDocuments:
    """What was found in one split of a stored dataset.

    Attributes:
      name: of the dataset and its split, for people.
      kind: one of `KINDS`.
      statistics: of all documents that were read.
      shown: (record, document) of the first of them.
    """

    name: str
    kind: str
    statistics: DocumentStatistics
    shown: list[tuple[int, Document]]


def inspect_documents(name: str, source: Source, kind: str, most: int, shown: int) -> InspectedDocuments:
    """Reads at most `most` documents, taken at random but always the same, and keeps the first few.

    Args:
      kind: one of `KINDS`; empty: the one that the first documents are of.

    Raises:
      SourceError: the dataset cannot be read.
    """
    order = permutation(len(source), "inspect")
    places = [order[place] for place in range(min(most, len(source)))]
    first = {place: document for place in places[: max(shown, _LOOKED_AT)] if (document := _read(source, place))}
    chosen = kind or guess_kind([*first.values()])
    statistics = DocumentStatistics(len(source), chosen, bool(kind))
    kept = [*first.items()][:shown]
    for place in tqdm(places, desc="reading", unit="document", disable=None, leave=False):
        document = first.pop(place, None) or _read(source, place)
        if document is None:
            statistics.add_damaged()
        else:
            statistics.add(document)
    return InspectedDocuments(name, chosen, statistics, kept)


def _read(source: Source, place: int) -> Document | None:
    try:
        return source[place]
    except RecordError:
        return None
