"""The mixture: step -> batch as a pure function of (seed, datasets, step).

The strategy says which datasets a step takes a batch of: all, or each in turn. The rows of a dataset's n-th batch are
its rows n * batch_size and following, whose making `flamingo_jax.data.rows` tells. Nothing depends on what was read
before, so any host can make any row of any step, with any number of threads and processes, after any restart.
"""

import dataclasses
from collections.abc import Mapping, Sequence

from flamingo_jax.data.dataset_config import DatasetConfig
from flamingo_jax.data.errors import SourceError
from flamingo_jax.data.example import Batch, stack
from flamingo_jax.data.merging import merge
from flamingo_jax.data.rows import Filled, Origin, Row, RowMaker
from flamingo_jax.data.schedule import ACCUMULATE, MERGED, ROUND_ROBIN, STRATEGIES, Schedule
from flamingo_jax.data.sources import Source, open_source
from flamingo_jax.data.tokenizer import Tokenizer

Rows = tuple[int, int] | Mapping[str, Sequence[int]] | None
"""Which rows of the global batch: (host, hosts) for a contiguous share of each dataset's rows, explicit rows by
dataset, or None for all."""


@dataclasses.dataclass(frozen=True)
class MixtureConfig:
    """Datasets and how they are read. Only `datasets`, `seed`, `strategy` and `turns` decide what is in the batches.

    Attributes:
      datasets: (name, config) of each. A dataset's name keys its randomness, so adding one leaves the others as they
        are.
      seed: of the order of records and of all augmentation.
      strategy: how the datasets come together (paper, section 3.4, and its ablations).
        "accumulate": every step takes a batch of each; their gradients are computed one after the other and summed.
        "round_robin": every step takes a batch of one dataset, in turn, so that an update follows one dataset's
        gradient; with D datasets the same data take D times the steps. The step is compiled once a dataset.
        "merged": every step takes one batch with the rows of all, padded to the largest length, number of images and
        number of frames; the objective is that of "accumulate". Padding costs what it pads: with B_d rows of N_d
        images of T_d frames, the encoder reads sum(B_d) * max(N_d) * max(T_d) frames in one go instead of
        sum(B_d * N_d * T_d) in D goes (the paper's batches: 53,760, 16.5 GB of bytes, not 2,816), the language model
        sum(B_d) * max(L_d) tokens, and both hold the activations of all of it at once. For mixtures of one shape.
      turns: with "round_robin", how many steps of a cycle are a dataset's; 1 for those not named, as in the paper.
      workers: processes that prepare batches; 0: the calling process does.
      threads: threads that prepare batches, in each of those processes; 0: no preparation ahead without workers.
      prefetch: sub-batches (one step of one dataset) that each process prepares ahead. Memory grows with this number
        and with the workers, not with the number of datasets.
      max_skip_rate: stop when, after 1,000 documents of a dataset, more than this share of the records met was
        unusable.
      max_attempts: records tried for one document before giving up.
      io_retries: how often a failed read is tried again, at doubling intervals from `io_retry_seconds`.
    """

    datasets: tuple[tuple[str, DatasetConfig], ...]
    seed: int = 0
    strategy: str = ACCUMULATE
    turns: Mapping[str, int] = dataclasses.field(default_factory=dict)
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
        if self.strategy not in STRATEGIES:
            known = ", ".join(map(repr, STRATEGIES))
            raise ValueError(f"MixtureConfig.strategy is one of {known}, got {self.strategy!r}")
        if self.turns and self.strategy != ROUND_ROBIN:
            raise ValueError(f"MixtureConfig.turns does nothing with strategy {self.strategy!r}; leave it out")
        wrong = {
            name: turns
            for name, turns in self.turns.items()
            if name not in names or not isinstance(turns, int) or turns < 1
        }
        if wrong:
            raise ValueError(
                f"MixtureConfig.turns gives each of {names} a whole number of steps in a cycle, 1 or more; got {wrong}"
            )
        sizes = {name: dataset.image_size for name, dataset in self.datasets if dataset.images_per_row}
        if self.strategy == MERGED and len(set(sizes.values())) > 1:
            raise ValueError(f"MixtureConfig.strategy = 'merged' needs images of one size, but image_size is {sizes}")


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
          ValueError: a dataset's packed rows are too short.
        """
        self.config = config
        self.tokenizer = tokenizer
        self.datasets = dict(config.datasets)
        self.schedule = Schedule(config.strategy, list(self.datasets), config.turns)
        self._sources = {
            name: open_source(dataset.path, dataset.split) if sources is None else sources[name]
            for name, dataset in self.datasets.items()
        }
        for name, source in self._sources.items():
            if not len(source):
                raise SourceError(f"dataset {name!r} holds no record")
        self._makers = {
            name: RowMaker(
                name,
                dataset,
                self._sources[name],
                tokenizer,
                seed=config.seed,
                max_attempts=config.max_attempts,
                io_retries=config.io_retries,
                io_retry_seconds=config.io_retry_seconds,
            )
            for name, dataset in self.datasets.items()
        }

    @property
    def sizes(self) -> dict[str, int]:
        """The number of records of each dataset."""
        return {name: len(source) for name, source in self._sources.items()}

    @property
    def weights(self) -> dict[str, float]:
        """The loss weight of each dataset."""
        return {name: dataset.weight for name, dataset in self.datasets.items()}

    def batch(self, step: int, rows: Rows = None) -> dict[str, Batch]:
        """The batch of this step: for each dataset of the step the arrays of `Example` with a leading axis of the
        asked-for rows; with strategy "merged" one such batch, see `join`.

        The rows of hosts 0..n-1, joined, are the rows of one host.

        Raises:
          RecordError: `max_attempts` unusable records in a row for one slot.
          SourceError: a dataset cannot be read, also after retries.
        """
        return self.join({name: self.sub_batch(name, step, rows) for name in self.schedule.datasets(step)})

    def join(self, parts: Mapping[str, Batch]) -> dict[str, Batch]:
        """The batch of a step from its sub-batches: those, or with strategy "merged" the one under "merged"."""
        return {MERGED: merge(parts, self.tokenizer.eos_id)} if self.config.strategy == MERGED else dict(parts)

    def sub_batch(self, name: str, step: int, rows: Rows = None) -> Batch:
        """One dataset's part of `batch(step, rows)`, before they are merged.

        Raises:
          ValueError: the step takes no batch of this dataset.
        """
        made = self.rows(name, step, rows)
        return stack([row.example for row in made], [row.skipped for row in made])

    def rows(self, name: str, step: int, rows: Rows = None) -> list[Row]:
        """The rows of `sub_batch`, each with what `origin` needs to tell where it comes from."""
        return self._makers[name].rows(self._numbers(name, step, rows))

    def origin(self, name: str, filled: Filled) -> Origin:
        """The document of a row's segment, read again.

        Raises:
          SourceError: it cannot be read.
        """
        return self._makers[name].origin(filled)

    def records(self, name: str, step: int, rows: Rows = None) -> list[int]:
        """The index in the dataset of the record that each document asks for first, row by row (a packed row has
        several documents): to look a batch up in the corpus."""
        return self._makers[name].records(self._numbers(name, step, rows))

    def _numbers(self, name: str, step: int, rows: Rows) -> list[int]:
        """The rows' numbers, counted through all batches of the dataset."""
        if name not in self.schedule.datasets(step):
            raise ValueError(f"step {step} takes no batch of dataset {name!r}")
        size = self.datasets[name].batch_size
        first = self.schedule.batches_before(name, step) * size
        return [first + row for row in resolve_rows(rows, name, size)]


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
