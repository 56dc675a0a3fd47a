"""Leaves of a model, put together parameter by parameter from what the devices of this process hold of them.

A leaf is a stack of parameters, cut over the devices of all hosts. A host keeps the shards of its own devices and no
more, in the type that they are stored in, and hands each leaf to the devices when it is complete.
"""

import math

import jax
import numpy as np
from jax.sharding import SingleDeviceSharding

from flamingo_jax.interop.files.pieces import cast, row_major
from flamingo_jax.models.quantized import Quantized, quantize

_PIECE = 1 << 24  # elements to quantize at a time: the arithmetic makes several arrays of the size of what it is given

Bounds = tuple[tuple[int, int], ...]
Stored = jax.ShapeDtypeStruct | Quantized
"""How a leaf is stored: an array's shape, dtype and sharding (None: on the first device), or `Quantized` of two."""


class Assembly:
    """A leaf that is stored as one array. Several threads may fill it."""

    def __init__(self, stored: jax.ShapeDtypeStruct):
        self._shape, self._dtype = stored.shape, np.dtype(stored.dtype)
        self._sharding = stored.sharding or SingleDeviceSharding(jax.local_devices()[0])
        indices = self._sharding.addressable_devices_indices_map(self._shape)
        self._bounds = {device: _bounds(index, self._shape) for device, index in indices.items()}
        # Devices with the same part share one. The system gives memory to what is written, not to what is reserved.
        self._shards = {
            bounds: np.empty([stop - start for start, stop in bounds], self._dtype)
            for bounds in dict.fromkeys(self._bounds.values())
        }

    def wants(self, index: tuple[int, ...]) -> bool:
        """Whether a device of this process holds any of the parameter at `index` of the stack."""
        return any(_inside(index, bounds) for bounds in self._shards)

    def put(self, index: tuple[int, ...], array: np.ndarray, name: str) -> None:
        """Takes what this process's devices hold of a parameter.

        Args:
          index: on the stack's axes.
          array: all of the parameter.
          name: for the error.

        Raises:
          WeightsError: a finite number has no finite place in the type that the leaf is stored in.
        """
        for bounds, shard in self._shards.items():
            if _inside(index, bounds):
                stack, within = bounds[: len(index)], bounds[len(index) :]
                part = array[tuple(slice(*bound) for bound in within)]
                place = tuple(at - start for at, (start, _) in zip(index, stack, strict=True))
                shard[place] = cast(row_major(part), self._dtype, name)

    def finish(self) -> jax.Array:
        """The leaf, on the devices; nothing of it is kept here."""
        arrays = [jax.device_put(self._shards[bounds], device) for device, bounds in self._bounds.items()]
        jax.block_until_ready(arrays)
        self._shards.clear()
        return jax.make_array_from_single_device_arrays(self._shape, self._sharding, arrays)


class QuantizedAssembly:
    """A leaf that is stored in 8 bits; with the methods of `Assembly`.

    A channel's scale comes from all of its weights, so that hosts which hold parts of it agree.
    """

    def __init__(self, stored: Quantized):
        self._values, self._scale = Assembly(stored.values), Assembly(stored.scale)
        self._scale_shape = stored.scale.shape

    def wants(self, index: tuple[int, ...]) -> bool:
        """See `Assembly.wants`."""
        return self._values.wants(index) or self._scale.wants(index)

    def put(self, index: tuple[int, ...], array: np.ndarray, name: str) -> None:
        """See `Assembly.put`."""
        values, scale = _quantize(array, self._scale_shape[len(index) :])
        self._values.put(index, values, name)
        self._scale.put(index, scale, name)

    def finish(self) -> Quantized:
        """See `Assembly.finish`."""
        return Quantized(self._values.finish(), self._scale.finish())


def assembly(stored: Stored) -> Assembly | QuantizedAssembly:
    """An empty leaf that is to be stored so."""
    return QuantizedAssembly(stored) if isinstance(stored, Quantized) else Assembly(stored)


def _quantize(array: np.ndarray, scale_shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """`quantize`, some channels at a time."""
    axis = max(range(array.ndim), key=lambda axis: scale_shape[axis])
    if scale_shape[axis] == 1:
        return quantize(array, scale_shape)
    values, scale = np.empty(array.shape, np.int8), np.empty(scale_shape, np.float32)
    step = max(1, _PIECE * array.shape[axis] // max(1, math.prod(array.shape)))
    for start in range(0, array.shape[axis], step):
        part = (slice(None),) * axis + (slice(start, start + step),)
        piece = array[part]
        shape = tuple(1 if size == 1 else length for size, length in zip(scale_shape, piece.shape, strict=True))
        values[part], scale[part] = quantize(piece, shape)
    return values, scale


def _bounds(index: tuple[slice, ...], shape: tuple[int, ...]) -> Bounds:
    return tuple(part.indices(size)[:2] for part, size in zip(index, shape, strict=True))


def _inside(index: tuple[int, ...], bounds: Bounds) -> bool:
    return all(start <= at < stop for at, (start, stop) in zip(index, bounds, strict=False))
