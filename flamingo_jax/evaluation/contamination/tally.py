"""What a search has found, added up; of the pairs the best are kept, so that memory stays bounded."""

import dataclasses
import heapq
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from flamingo_jax.evaluation.contamination.questioned import Questioned
from flamingo_jax.evaluation.contamination.search import Hit, Part

KEPT = 100_000  # pairs, some 50 MB


@dataclasses.dataclass
class Counts:
    """Of one corpus, or of all; `candidates` and `exact` count its pictures, each once, however many it is like."""

    documents: int = 0
    damaged_documents: int = 0
    images: int = 0
    clips: int = 0
    undecodable: int = 0
    candidates: int = 0
    exact: int = 0
    pairs: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        fields = (field.name for field in dataclasses.fields(self))
        return Counts(**{name: getattr(self, name) + getattr(other, name) for name in fields})


class Tally:
    """Adds up parts as they come."""

    def __init__(self, corpora: int, questioned: Questioned, kept: int = KEPT):
        """
        Args:
          corpora: how many there are.
          questioned: what was looked for.
          kept: how many pairs `best` gives at most.
        """
        self.corpora = [Counts() for _ in range(corpora)]
        self._questioned, self._kept = questioned, kept
        self._best: list[tuple[tuple, Hit]] = []
        self._found: dict[int, bool] = {}  # the benchmark's pictures that were found -> whether exactly

    def add(self, part: Part) -> None:
        """Adds one part; each document is in one part only."""
        pictures = {(hit.record, hit.number) for hit in part.hits}
        exact = {(hit.record, hit.number) for hit in part.hits if hit.exact}
        self.corpora[part.corpus] += Counts(
            part.documents,
            part.damaged,
            part.images,
            part.clips,
            part.undecodable,
            len(pictures),
            len(exact),
            len(part.hits),
        )
        for hit in part.hits:
            self._found[hit.medium] = self._found.get(hit.medium, False) or hit.exact
            entry = (tuple(-number for number in _rank(hit)), hit)
            if len(self._best) < self._kept:
                heapq.heappush(self._best, entry)
            elif entry[0] > self._best[0][0]:
                heapq.heapreplace(self._best, entry)

    @property
    def total(self) -> Counts:
        """Over all corpora."""
        return sum(self.corpora, Counts())

    def best(self) -> list[Hit]:
        """The pairs, the exact ones first, then by distance, then in the order of the corpora."""
        return sorted((hit for _, hit in self._best), key=_rank)

    def splits(self) -> dict[str, dict[str, Any]]:
        """For each split how many of its pictures and items were found, and the keys of those items."""
        askers = self._questioned.askers()
        found: dict[str, dict[bool, dict[str, None]]] = {
            split: {True: {}, False: {}} for split in self._questioned.items
        }
        for medium, exact in sorted(self._found.items()):
            for split, key in askers[medium]:
                found[split][exact][key] = None
        return {split: self._split(split, askers, found[split]) for split in self._questioned.items}

    def _split(self, split: str, askers: Sequence, keys: Mapping[bool, Iterable[str]]) -> dict[str, Any]:
        asked = {place for place, some in enumerate(askers) if any(name == split for name, _ in some)}
        unreadable = set(self._questioned.unreadable)
        items = self._questioned.items[split]
        return {
            "items": len(items),
            "pictures": len(asked),
            "unreadable_pictures": len({item.medium for item in items} & unreadable),
            "candidate_pictures": sum(place in self._found for place in asked),
            "exact_pictures": sum(self._found.get(place, False) for place in asked),
            "exact_items": list(keys[True]),
            "candidate_items": [*keys[True], *keys[False]],
        }


def in_words(counts: Counts) -> str:
    """As the paper puts it."""
    candidates = f"{counts.candidates:,} near-duplicate candidate{'s' * (counts.candidates != 1)}"
    return f"{candidates}, of which {counts.exact:,} exact" if counts.candidates else "no near-duplicate candidate"


def _rank(hit: Hit) -> tuple[int, ...]:
    return int(not hit.exact), hit.distance, hit.corpus, hit.record, hit.number, hit.medium
