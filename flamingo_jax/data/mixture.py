"""The mixture: step -> batch as a pure function of (seed, datasets, step).

Every step takes one sub-batch of each dataset. Row r of dataset d in step s fills slot s * batch_size + r; a
permutation keyed by (seed, dataset, epoch) maps the slot to a record, and a generator keyed by (seed, dataset, slot)
makes all random choices of the row. Nothing depends on what was read before, so any host can make any row of any step,
with any number of threads and processes, after any restart.

A record that cannot become a row is replaced by the one at hash(seed, dataset, slot, attempt): no other slot shifts.
"""

import dataclasses
import itertools
import time
from collections.abc import Mapping, Sequence

from flamingo_jax.data.dataset_config import DatasetConfig
from flamingo_jax.data.document import Document
from flamingo_jax.data.errors import RecordError, SkipRateError, SourceError
from flamingo_jax.data.example import Batch, Example, stack
from flamingo_jax.data.randomness import derive, generator, permutation
from flamingo_jax.data.sources import Source, open_source
from flamingo_jax.data.tokenizer import Tokenizer

Rows = tuple[int, int] | Mapping[str, Sequence[int]] | None
"""Which rows of the global batch: (host, hosts) for a contiguous share of each dataset's rows, explicit rows by
dataset, or None for all."""


@dataclasses.dataclass(frozen=True)
class MixtureConfig:
    """Datasets and how they are read. Only `datasets` and `seed` decide what is in the batches.

    Attributes:
      datasets: (name, config) of each. A dataset's name keys its randomness, so adding one leaves the others as they
        are.
      seed: of the order of records and of all augmentation.
      workers: processes that prepare batches; 0: the calling process does.
      threads: threads that prepare batches, in each of those processes; 0: no preparation ahead without workers.
      prefetch: sub-batches (one step of one dataset) that each process prepares ahead. Memory grows with this number
        and with the workers, not with the number of datasets.
      max_skip_rate: stop when, after 1,000 rows of a dataset, more than this share of the records met was unusable.
      max_attempts: records tried for one row before giving up.
      io_retries: how often a failed read is tried again, at doubling intervals from `io_retry_seconds`.
    """

    datasets: tuple[tuple[str, DatasetConfig], ...]
    seed: int = 0
    workers: int = 0
    threads: int = 2
    prefetch: int = 4
    max_skip_rate: float = 0.1
    max_attempts: int = 16
    io_retries: int = 4
    io_retry_seconds: float = 1.0

    def __post_init__(self):
        names = [name for name, _ in self.datasets]
        if not names or len(set(names)) < len(names):
            raise ValueError(f"MixtureConfig.datasets needs at least one dataset, each with its own name; got {names}")
        for name, least in (("workers", 0), ("threads", 0), ("prefetch", 1), ("max_attempts", 1), ("io_retries", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"MixtureConfig.{name} must be at least {least}, got {getattr(self, name)}")


class Mixture:
    """Makes batches; `flamingo_jax.data.stream.BatchStream` prepares them ahead.

    Picklable; every method may be called from several threads.
    """

    def __init__(self, config: MixtureConfig, tokenizer: Tokenizer, sources: Mapping[str, Source] | None = None):
        """
        Args:
          sources: the documents of each dataset by name; None opens the datasets that the config names.

        Raises:
          SourceError: a dataset is missing, half-built or empty.
        """
        self.config = config
        self.tokenizer = tokenizer
        self.datasets = dict(config.datasets)
        self._sources = {
            name: open_source(dataset.path, dataset.split) if sources is None else sources[name]
            for name, dataset in self.datasets.items()
        }
        for name, source in self._sources.items():
            if not len(source):
                raise SourceError(f"dataset {name!r} holds no record")

    @property
    def weights(self) -> dict[str, float]:
        """The loss weight of each dataset."""
        return {name: dataset.weight for name, dataset in self.datasets.items()}

    def batch(self, step: int, rows: Rows = None) -> dict[str, Batch]:
        """The batch of this step: for each dataset the arrays of `Example` with a leading axis of the asked-for rows.

        The rows of hosts 0..n-1, joined, are the rows of one host.

        Raises:
          RecordError: `max_attempts` unusable records in a row for one slot.
          SourceError: a dataset cannot be read, also after retries.
        """
        return {name: self.sub_batch(name, step, rows) for name in self.datasets}

    def sub_batch(self, name: str, step: int, rows: Rows = None) -> Batch:
        """One dataset's part of `batch(step, rows)`."""
        size = self.datasets[name].batch_size
        made = [self._row(name, step * size + row) for row in resolve_rows(rows, name, size)]
        return stack([example for example, _ in made], [skipped for _, skipped in made])

    def records(self, name: str, step: int, rows: Rows = None) -> list[int]:
        """The index in the dataset of the record that each row asks for first: to look a batch up in the corpus."""
        size = self.datasets[name].batch_size
        return [self._record(name, step * size + row, 0) for row in resolve_rows(rows, name, size)]

    def _record(self, name: str, slot: int, attempt: int) -> int:
        size = len(self._sources[name])
        if attempt:
            return derive(self.config.seed, name, "replacement", slot, attempt) % size
        epoch, position = divmod(slot, size)
        return permutation(size, self.config.seed, name, "order", epoch)[position]

    def _row(self, name: str, slot: int) -> tuple[Example, int]:
        for attempt in range(self.config.max_attempts):
            try:
                document = self._read(name, self._record(name, slot, attempt))
                rng = generator(self.config.seed, name, "row", slot, attempt)
                return self.datasets[name].example(document, self.tokenizer, rng), attempt
            except RecordError as error:
                last = error
        raise RecordError(
            f"dataset {name!r}: {self.config.max_attempts} records tried for slot {slot}, none of use; the last: {last}"
        )

    def _read(self, name: str, index: int) -> Document:
        for attempt in itertools.count():
            try:
                return self._sources[name][index]
            except OSError as error:
                if attempt == self.config.io_retries:
                    raise SourceError(f"dataset {name!r}: {error} (tried {attempt + 1} times)") from error
                time.sleep(self.config.io_retry_seconds * 2**attempt)
        raise AssertionError("unreachable")


class SkipMonitor:
    """Counts unusable records by dataset and says when there are too many."""

    _AFTER = 1000

    def __init__(self, max_rate: float):
        self.max_rate = max_rate
        self.rows: dict[str, int] = {}
        self.skipped: dict[str, int] = {}

    def add(self, name: str, batch: Batch) -> None:
        """Counts a batch.

        Raises:
          SkipRateError: among the records that were met so far, too large a share was unusable.
        """
        rows = self.rows[name] = self.rows.get(name, 0) + len(batch["skipped"])
        skipped = self.skipped[name] = self.skipped.get(name, 0) + int(batch["skipped"].sum())
        if rows >= self._AFTER and skipped > self.max_rate * (rows + skipped):
            raise SkipRateError(
                f"dataset {name!r}: {skipped} of {rows + skipped} records were unusable, more than max_skip_rate ="
                f" {self.max_rate}; look at the dataset, or raise MixtureConfig.max_skip_rate"
            )


def resolve_rows(rows: Rows, name: str, batch_size: int) -> Sequence[int]:
    """The row numbers of one dataset's global batch.

    Raises:
      ValueError: the hosts do not divide the batch, or a row is outside it.
    """
    if rows is None:
        return range(batch_size)
    if isinstance(rows, Mapping):
        chosen = [int(row) for row in rows[name]]
        outside = [row for row in chosen if not 0 <= row < batch_size]
        if outside or not chosen:
            raise ValueError(f"dataset {name!r}: rows {outside or chosen} of a batch of {batch_size}")
        return chosen
    host, hosts = rows
    if not 0 <= host < hosts or batch_size % hosts:
        raise ValueError(f"dataset {name!r}: host {host} of {hosts} cannot take an equal share of {batch_size} rows")
    share = batch_size // hosts
    return range(host * share, (host + 1) * share)
