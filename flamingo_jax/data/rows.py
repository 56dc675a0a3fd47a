"""One dataset's rows: row number -> row, as a pure function of (seed, dataset, row number).

Rows are numbered through all batches of the dataset. Without packing row n fills slot n; a packed row fills as many
slots as it holds documents. A permutation keyed by (seed, dataset, epoch) maps each slot to a record, and a generator
keyed by (seed, dataset, slot, attempt) makes all random choices about that record. A record that cannot be used is
replaced by the one at hash(seed, dataset, slot, attempt): no other slot shifts.
"""

import dataclasses
import itertools
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

import numpy as np

from flamingo_jax.data.dataset_config import DatasetConfig
from flamingo_jax.data.document import Document, Image, Video
from flamingo_jax.data.errors import RecordError, SourceError
from flamingo_jax.data.example import Example
from flamingo_jax.data.packing import deal, join, rooms
from flamingo_jax.data.randomness import derive, generator, permutation
from flamingo_jax.data.sources import Source
from flamingo_jax.data.tokenizer import Tokenizer

Made = TypeVar("Made")


class _Draft(NamedTuple):
    """What a slot of a packed row is to hold: the first of its records whose text is usable, and its size in tokens."""

    slot: int
    attempt: int
    document: Document
    size: int


_Plan = list[tuple[_Draft, int]]  # of a packed row: its documents, and the tokens that each gets


class Filled(NamedTuple):
    """A slot, and the attempt that found a usable record for it: so many unusable ones were met before."""

    slot: int
    attempt: int


class Row(NamedTuple):
    """A row, and which slots its documents filled, in the order of its segments."""

    example: Example
    filled: tuple[Filled, ...]

    @property
    def skipped(self) -> int:
        """Unusable records that were met on the way."""
        return sum(attempt for _, attempt in self.filled)


class Origin(NamedTuple):
    """Where a segment of a row comes from.

    Attributes:
      record: index in the dataset.
      document: what is stored there.
      media: those of its images and clips that are in the row, in order.
    """

    record: int
    document: Document
    media: tuple[Image | Video, ...]


class RowMaker:
    """Makes the rows of one dataset. Picklable; every method may be called from several threads."""

    def __init__(
        self,
        name: str,
        dataset: DatasetConfig,
        source: Source,
        tokenizer: Tokenizer,
        *,
        seed: int,
        max_attempts: int,
        io_retries: int,
        io_retry_seconds: float,
    ):
        """
        Raises:
          ValueError: packed rows are too short for as many documents.
        """
        self.dataset = dataset
        self._name, self._source, self._tokenizer, self._seed = name, source, tokenizer, seed
        self._max_attempts, self._io_retries, self._io_retry_seconds = max_attempts, io_retries, io_retry_seconds
        self._packed = dataset.documents_per_row > 1
        if self._packed and dataset.length < dataset.documents_per_row * dataset.least_size(tokenizer):
            raise ValueError(
                f"dataset {name!r}: length = {dataset.length} leaves no room for {dataset.documents_per_row} documents"
                f" of at least {dataset.least_size(tokenizer)} tokens; raise it, or lower documents_per_row"
            )

    def rows(self, numbers: Sequence[int]) -> list[Row]:
        """These rows.

        Raises:
          RecordError: `max_attempts` unusable records in a row for one slot.
          SourceError: a record cannot be read, also after retries.
        """
        if not self._packed:
            found = [self._first_usable(number, self._example) for number in numbers]
            return [
                Row(example, (Filled(number, attempt),))
                for number, (example, attempt) in zip(numbers, found, strict=True)
            ]
        made = {}
        for group, wanted in itertools.groupby(sorted(set(numbers)), self._group_of):
            plans = self._plans(group)
            made |= {number: self._pack(plans[number % len(plans)]) for number in wanted}
        return [made[number] for number in numbers]

    def records(self, numbers: Sequence[int]) -> list[int]:
        """The record that each slot of these rows asks for first; in a packed row in the order of its segments."""
        if not self._packed:
            return [self.record(number) for number in numbers]
        plans = {group: self._plans(group) for group in sorted({self._group_of(number) for number in numbers})}
        rows = (plans[self._group_of(number)][number % self.dataset.packing_group] for number in numbers)
        return [self.record(draft.slot) for row in rows for draft, _ in row]

    def origin(self, filled: Filled) -> Origin:
        """What is behind a part of a row; reads the document again."""
        record = self.record(*filled)
        document = self._read(record)
        return Origin(record, document, self.dataset.media(document, self._tokenizer, self._rng(*filled)))

    def record(self, slot: int, attempt: int = 0) -> int:
        """The index in the dataset of the record that a slot asks for in this attempt."""
        size = len(self._source)
        if attempt:
            return derive(self._seed, self._name, "replacement", slot, attempt) % size
        epoch, position = divmod(slot, size)
        return permutation(size, self._seed, self._name, "order", epoch)[position]

    def _group_of(self, number: int) -> int:
        return number // self.dataset.packing_group

    def _plans(self, group: int) -> list[_Plan]:
        """The plan of each row of a packed group: a function of the texts alone, for which no medium is decoded."""
        rows, per_row = self.dataset.packing_group, self.dataset.documents_per_row
        slots = range(group * rows * per_row, (group + 1) * rows * per_row)
        drafts = [self._draft(slot) for slot in slots]
        plans = []
        for row in deal([draft.size for draft in drafts], rows, per_row):
            chosen = [drafts[item] for item in row]
            plans.append([*zip(chosen, rooms([draft.size for draft in chosen], self.dataset.length), strict=True)])
        return plans

    def _draft(self, slot: int) -> _Draft:
        def measured(document: Document, slot: int, attempt: int) -> tuple[Document, int]:
            return document, self.dataset.size(document, self._tokenizer, self._rng(slot, attempt))

        (document, size), attempt = self._first_usable(slot, measured)
        return _Draft(slot, attempt, document, size)

    def _pack(self, plan: _Plan) -> Row:
        """The row of this plan. What replaces a document gets its room and what the row has free, no other's."""
        free = self.dataset.length - sum(room for _, room in plan)
        parts, filled = [], []
        for draft, room in plan:
            attempt = draft.attempt
            try:
                part = self._cut(draft.document, draft.slot, attempt, room)
            except RecordError as error:
                most, failure = room + free, error

                def replacement(document: Document, slot: int, attempt: int, most: int = most) -> Example:
                    size = self.dataset.size(document, self._tokenizer, self._rng(slot, attempt))
                    return self._cut(document, slot, attempt, min(size, most))

                part, attempt = self._first_usable(draft.slot, replacement, attempt + 1, failure)
                free = most - len(part.tokens)
            parts.append(part)
            filled.append(Filled(draft.slot, attempt))
        return Row(join(parts, self.dataset.length, self._tokenizer.eos_id), tuple(filled))

    def _example(self, document: Document, slot: int, attempt: int) -> Example:
        return self.dataset.example(document, self._tokenizer, self._rng(slot, attempt))

    def _cut(self, document: Document, slot: int, attempt: int, length: int) -> Example:
        """The document as a row of its own that has this length."""
        dataset = dataclasses.replace(self.dataset, length=length)
        return dataset.example(document, self._tokenizer, self._rng(slot, attempt))

    def _rng(self, slot: int, attempt: int) -> np.random.Generator:
        return generator(self._seed, self._name, "row", slot, attempt)

    def _first_usable(
        self,
        slot: int,
        make: Callable[[Document, int, int], Made],
        first: int = 0,
        failure: RecordError | None = None,
    ) -> tuple[Made, int]:
        """What `make(document, slot, attempt)` makes of the first record that it takes, and which attempt that was."""
        for attempt in range(first, self._max_attempts):
            try:
                return make(self._read(self.record(slot, attempt)), slot, attempt), attempt
            except RecordError as error:
                failure = error
        raise RecordError(
            f"dataset {self._name!r}: {self._max_attempts} records tried for slot {slot}, none of use; the last:"
            f" {failure}"
        )

    def _read(self, index: int) -> Document:
        for attempt in itertools.count():
            try:
                return self._source[index]
            except OSError as error:
                if attempt == self._io_retries:
                    raise SourceError(f"dataset {self._name!r}: {error} (tried {attempt + 1} times)") from error
                time.sleep(self._io_retry_seconds * 2**attempt)
        raise AssertionError("unreachable")
