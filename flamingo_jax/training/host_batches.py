"""What of a run's batches is this process's: which rows it reads, how they are placed, and what it counts in them."""

from collections.abc import Mapping, Sequence

import jax
import numpy as np
from jaxtyping import Int

from flamingo_jax.data.example import DATASET_KEY
from flamingo_jax.data.example import Batch as HostBatch
from flamingo_jax.data.merging import skipped_by_dataset
from flamingo_jax.data.schedule import MERGED
from flamingo_jax.parallel.hosts import ProcessSum, owned_rows, place_rows, process_rows
from flamingo_jax.parallel.rules import batch_sharding
from flamingo_jax.training.design import HOST_ONLY, Design
from flamingo_jax.training.step import Batch


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
        keys = ("segment_ids", "skipped", DATASET_KEY)
        return {
            name: {key: part[key][self._owned[name]] for key in keys if key in part} for name, part in batch.items()
        }


class Tally:
    """What all processes must know of a step together: whether one of them is asked to stop, and what was read.

    It is summed on the devices, before the step and without waiting for it; so all see the same sums, and a stop comes
    after the same update everywhere.
    """

    def __init__(self, batches: HostBatches, design: Design):
        self._batches, self._sum = batches, ProcessSum(design.mesh)
        self._datasets: Sequence[str] = [name for name, _ in design.config.mixture.datasets]

    def begin(self, stop: bool, batch: Mapping[str, HostBatch]) -> "Sums":
        """Adds this process's part; every process must call it once a step."""
        owned = self._batches.owned(batch)
        tokens = sum(int(np.count_nonzero(part["segment_ids"])) for part in owned.values())
        skipped = {name: int(np.sum(rows)) for name, rows in skipped_by_dataset(owned, self._datasets).items()}
        return Sums(self._sum(np.array([stop, tokens, *skipped.values()])), list(skipped))


class Sums:
    """The sums of a `Tally`. Reading one waits until they are there."""

    def __init__(self, values: Int[jax.Array, "size"] | Int[np.ndarray, "size"], datasets: Sequence[str]):
        self._values, self._datasets = values, datasets

    @property
    def stop(self) -> bool:
        """Whether any process was asked to stop."""
        return bool(np.asarray(self._values)[0])

    @property
    def tokens(self) -> int:
        """Tokens of the whole batch that are no padding."""
        return int(np.asarray(self._values)[1])

    @property
    def skipped(self) -> dict[str, int]:
        """Dataset of this step -> unusable records that were replaced."""
        return dict(zip(self._datasets, np.asarray(self._values)[2:].tolist(), strict=True))
