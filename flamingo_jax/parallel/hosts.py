"""What of a global array is a process's own: the rows that its devices hold, their placing, and sums over processes."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec, Sharding
from jaxtyping import Bool, Int, Shaped

from flamingo_jax.parallel.rules import replicated


def process_rows(sharding: Sharding, count: int, process: int | None = None) -> list[int]:
    """The rows of an array `[count, ...]` that the devices of a process hold, in ascending order.

    They need not be neighbours, and processes whose devices differ on other mesh axes alone, such as `tensor`, hold the
    same rows.

    Args:
      sharding: of the array's first axis.
      process: its index; None for this one.
    """
    process = jax.process_index() if process is None else process
    held = sharding.devices_indices_map((count,)).items()
    return sorted({row for device, (index,) in held if device.process_index == process for row in range(count)[index]})


def owned_rows(sharding: Sharding, count: int, process: int | None = None) -> Bool[np.ndarray, " held"]:
    """Which of `process_rows` no process of a lower index holds as well: over all processes, each row is owned once."""
    process = jax.process_index() if process is None else process
    owner = np.full(count, np.iinfo(np.int64).max)
    for device, (index,) in sharding.devices_indices_map((count,)).items():
        owner[index] = np.minimum(owner[index], device.process_index)
    return owner[process_rows(sharding, count, process)] == process


def place_rows(array: Shaped[np.ndarray, "held ..."], rows: Sequence[int], sharding: Sharding, count: int) -> jax.Array:
    """The global array `[count, ...]` whose rows `rows` (`process_rows` of it) this process has in `array`.

    Each device gets its own rows; nothing goes between processes.
    """
    places = np.asarray(rows)

    def shard(index: tuple[slice, ...]) -> np.ndarray:
        wanted = range(count)[index[0]]
        first = int(np.searchsorted(places, wanted.start))  # all of a shard's rows are here, so they are neighbours
        return array[first : first + len(wanted)]

    return jax.make_array_from_callback((count, *array.shape[1:]), sharding, shard)


class ProcessSum:
    """Sums small vectors of integers over all processes, on their devices and so without waiting for each other."""

    def __init__(self, mesh: Mesh):
        self._sharding = NamedSharding(mesh, PartitionSpec(mesh.axis_names))
        self._count = mesh.size
        self._first = min(jax.local_devices(), key=lambda device: device.id)
        self._sum = jax.jit(lambda parts: jnp.sum(parts, axis=0), out_shardings=replicated(mesh))

    def __call__(self, values: Int[np.ndarray, " size"]) -> Int[jax.Array, " size"] | Int[np.ndarray, " size"]:
        """The sum, in int32; it may still be under way. Every process must call this, equally often."""
        values = np.asarray(values, np.int32)
        if jax.process_count() == 1:
            return values
        shape = (self._count, *values.shape)
        shards = [
            jax.device_put(values[None] * (device == self._first), device)
            for device in self._sharding.addressable_devices_indices_map(shape)
        ]
        return self._sum(jax.make_array_from_single_device_arrays(shape, self._sharding, shards))


def sum_tables(table: Shaped[np.ndarray, "..."]) -> Shaped[np.ndarray, "..."]:
    """The sum over all processes of a table that each has filled a part of; waits for all of them."""
    if jax.process_count() == 1:
        return table
    return np.sum(multihost_utils.process_allgather(table), axis=0, dtype=table.dtype)


def of_first(value: int) -> int:
    """What process 0 gives: for what all must agree on, but each may see otherwise, as a shared folder."""
    return int(multihost_utils.broadcast_one_to_all(np.int32(value))) if jax.process_count() > 1 else value


def any_of(value: bool) -> bool:
    """Whether it is true on any process; waits for all of them."""
    return bool(sum_tables(np.array([value], np.int32))[0])


def wait_for_all() -> None:
    """Returns when all processes have come here."""
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices("wait_for_all")
