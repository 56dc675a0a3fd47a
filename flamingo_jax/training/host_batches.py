"""What of a run's batches is this process's: which rows it reads, how they are placed, and what it counts in them."""

import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Float, Int

from flamingo_jax.data.example import DATASET_KEY
from flamingo_jax.data.example import Batch as HostBatch
from flamingo_jax.data.merging import by_dataset
from flamingo_jax.data.schedule import MERGED
from flamingo_jax.parallel.hosts import ProcessSum, owned_rows, place_rows, process_rows
from flamingo_jax.parallel.rules import batch_sharding
from flamingo_jax.training.design import HOST_ONLY, Design
from flamingo_jax.training.step import Batch

_COUNTED = ("segment_ids", "frame_mask", "skipped")
_MOST_MILLISECONDS = 1 << 20  # sums are of 32 bits; a step that takes longer than this has other problems


class HostBatches:
    """The rows of a run's batches that this process's devices hold: processes of one tensor group hold the same.

    Attributes:
      rows: dataset -> the rows of its global batch that this process reads, in ascending order.
    """

    def __init__(self, design: Design):
        config = design.config.mixture
        self._sharding = batch_sharding(design.mesh, design.config.mesh.rules)
        sizes = {name: dataset.batch_size for name, dataset in config.datasets}
        # A merged batch is a number of equal parts (`data.merging`), of which each device holds some, whole: the design
        # has checked that every dataset's rows divide over the devices. So a device's rows of the merged batch are its
        # rows of each dataset's, and merging a process's rows gives its rows of what is merged.
        self.rows = {name: process_rows(self._sharding, size) for name, size in sizes.items()}
        self._sizes = {MERGED: sum(sizes.values())} if config.strategy == MERGED else sizes
        self._held = {name: process_rows(self._sharding, size) for name, size in self._sizes.items()}
        self._owned = {name: owned_rows(self._sharding, size) for name, size in self._sizes.items()}

    def place(self, batch: Mapping[str, HostBatch]) -> Batch:
        """This process's rows (`Mixture.batch(step, rows)`), as its part of the global batch."""
        return {
            name: {
                key: place_rows(value, self._held[name], self._sharding, self._sizes[name])
                for key, value in part.items()
                if key not in HOST_ONLY
            }
            for name, part in batch.items()
        }

    def owned(self, batch: Mapping[str, HostBatch]) -> dict[str, HostBatch]:
        """The part of this process's rows that counts as its own, where several hold the same: each row counts once."""
        keys = (*_COUNTED, DATASET_KEY)
        return {
            name: {key: part[key][self._owned[name]] for key in keys if key in part} for name, part in batch.items()
        }


class Idle(NamedTuple):
    """Seconds in which devices had nothing to do before an update: because of data, and in all."""

    data: float = 0.0
    total: float = 0.0


class Tally:
    """What all processes must know of a step together: what they are asked for, what was read, and who is late.

    It is summed on the devices, before the step and without waiting for it; so all see the same sums, and a stop comes
    after the same update everywhere.
    """

    def __init__(self, batches: HostBatches, design: Design):
        self._batches, self._sum = batches, ProcessSum(design.mesh)
        self._datasets: Sequence[str] = [name for name, _ in design.config.mixture.datasets]
        self._begun = 0.0

    def begin(self, batch: Mapping[str, HostBatch], *, stop: bool, save: bool, idle: Idle) -> "Sums":
        """Adds this process's part; every process must call it once a step.

        Args:
          batch: this process's rows.
          stop, save: whether it was asked to stop, or wants a checkpoint.
          idle: of its devices, before the last update.
        """
        now = time.monotonic()
        seconds, self._begun = (now - self._begun if self._begun else 0.0), now
        times = np.zeros((jax.process_count(), 3), np.int64)
        times[jax.process_index()] = np.minimum(np.array([idle.data, idle.total, seconds]) * 1000, _MOST_MILLISECONDS)
        parts = by_dataset(self._batches.owned(batch), self._datasets, _COUNTED)
        counts = [count for part in parts.values() for count in _counts(part)]
        return Sums(self._sum(np.array([stop, save, *times.ravel(), *counts])), list(parts))


def _counts(part: Mapping[str, np.ndarray]) -> tuple[int, int, int]:
    """Tokens that are no padding, images or frames that exist, records that were replaced."""
    return np.count_nonzero(part["segment_ids"]), np.count_nonzero(part["frame_mask"]), int(part["skipped"].sum())


class Sums:
    """The sums of a `Tally`. Reading one waits until they are there."""

    def __init__(self, values: Int[jax.Array, " size"] | Int[np.ndarray, " size"], datasets: Sequence[str]):
        self._values, self._datasets = values, datasets

    @property
    def stop(self) -> bool:
        """Whether any process was asked to stop."""
        return bool(np.asarray(self._values)[0])

    @property
    def save(self) -> bool:
        """Whether any process wants a checkpoint."""
        return bool(np.asarray(self._values)[1])

    @property
    def times(self) -> Float[np.ndarray, "processes 3"]:
        """Of each process, in seconds: how long its devices waited for data, and for anything; how long a step was."""
        return np.asarray(self._values)[2 : -len(self._datasets) * 3].reshape(-1, 3) / 1000

    @property
    def tokens(self) -> int:
        """Tokens of the whole batch that are no padding."""
        return int(self._counts[:, 0].sum())

    @property
    def skipped(self) -> dict[str, int]:
        """Dataset of this step -> unusable records that were replaced."""
        return dict(zip(self._datasets, self._counts[:, 2].tolist(), strict=True))

    @property
    def seen(self) -> dict[str, int]:
        """Tokens that are no padding and images (each frame of a clip is one) of the whole batch: `Position.seen`."""
        return {
            f"{kind}/{name}": count
            for place, kind in enumerate(("tokens", "images"))
            for name, count in zip(self._datasets, self._counts[:, place].tolist(), strict=True)
        }

    @property
    def _counts(self) -> Int[np.ndarray, "datasets 3"]:
        return np.asarray(self._values)[-len(self._datasets) * 3 :].reshape(-1, 3)
