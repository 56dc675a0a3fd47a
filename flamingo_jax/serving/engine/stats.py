"""What the engine counts; any thread may read it."""

import bisect
import collections
import itertools
import threading
from collections.abc import Iterator, Sequence
from typing import NamedTuple

SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
ROWS = (1, 2, 4, 8, 16, 32, 64)


class Series(NamedTuple):
    """A histogram as Prometheus has it: for each upper bound (the last is infinite) how many values lie below or at
    it, and the sum of all values."""

    bounds: Sequence[float]
    below: Sequence[int]
    total: float


class Histogram:
    """Counts of values by size."""

    def __init__(self, bounds: Sequence[float]):
        self._bounds, self._counts, self._total = tuple(bounds), [0] * (len(bounds) + 1), 0.0
        self._lock = threading.Lock()

    def add(self, value: float) -> None:
        """Counts one value."""
        with self._lock:
            self._counts[bisect.bisect_left(self._bounds, value)] += 1
            self._total += value

    @property
    def series(self) -> Series:
        """All that was counted."""
        with self._lock:
            return Series((*self._bounds, float("inf")), list(itertools.accumulate(self._counts)), self._total)


class Stats:
    """The engine's counters.

    Attributes:
      wait: seconds from submission to the model's attention.
      first: seconds from submission to the first text.
      total: seconds from submission to the end of an answer.
      rows: requests that were answered together.
    """

    def __init__(self):
        self.wait, self.first, self.total = Histogram(SECONDS), Histogram(SECONDS), Histogram(SECONDS)
        self.rows = Histogram(ROWS)
        self._counts: collections.Counter[tuple[str, str]] = collections.Counter()
        self._lock = threading.Lock()

    def count(self, family: str, label: str, more: int = 1) -> None:
        """Adds to a counter: of "requests" by outcome, of "tokens" by kind."""
        with self._lock:
            self._counts[family, label] += more

    def counts(self, family: str) -> dict[str, int]:
        """The counters of a family by label."""
        with self._lock:
            return {label: count for (name, label), count in self._counts.items() if name == family}

    def __iter__(self) -> Iterator[tuple[str, Histogram]]:
        yield from (("wait", self.wait), ("first", self.first), ("total", self.total), ("rows", self.rows))
