"""Frozen weights in 8 bits: how they are stored, and how a module reads them.

A weight of a matrix product is stored as int8 values and one float32 scale per output channel: `weight = values *
scale`, with the largest magnitude of a channel at 127 (symmetric, round to nearest). The values go into the product as
they are and the scale is applied to what comes out, so that no dequantized copy of the weights is ever written.

Modules declare the scale of each such weight in the collection "scales", under the weight's own path. It has as many
axes as the weight, those that the product sums over of size 1, and the weight's names on the others, so stacking by
`nn.scan` and sharding rules apply to it like to the weight.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from flax import traverse_util
from jaxtyping import Array, Float, Int8

SCALES = "scales"
_LARGEST = 127


class Quantized(NamedTuple):
    """A stored weight; a leaf of a parameter tree in place of an array."""

    values: Int8[Array, "..."]
    scale: Float[Array, "..."]

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the weight."""
        return self.values.shape


def scale_of(
    module: nn.Module, name: str, shape: tuple[int, ...], axes: tuple[str | None, ...], summed: Iterable[int]
) -> Float[Array, "..."] | None:
    """The scale of the module's weight `name`, or None where the weight is not stored in 8 bits.

    Args:
      shape, axes: of the weight.
      summed: which of its axes share a scale, as those that the product sums over do.
    """
    if module.is_initializing():
        summed = set(summed)
        names = tuple(None if axis in summed else each for axis, each in enumerate(axes))
        sizes = tuple(1 if axis in summed else size for axis, size in enumerate(shape))
        module.variable(SCALES, name, nn.with_logical_partitioning(jnp.ones, names), sizes, jnp.float32)
        return None
    return nn.meta.unbox(module.get_variable(SCALES, name)) if module.has_variable(SCALES, name) else None


def quantize(weight: Float[np.ndarray, "..."], scale_shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """(int8 values, float32 scale) of a weight; the axes along which `scale_shape` is 1 share a scale."""
    weight = np.asarray(weight, np.float32)
    shared = tuple(axis for axis, size in enumerate(scale_shape) if size == 1)
    scale = np.max(np.abs(weight), axis=shared, keepdims=True, initial=0) / _LARGEST
    scale[scale == 0] = 1.0
    return np.rint(weight / scale).astype(np.int8), scale.astype(np.float32)


def as_variables(params: Mapping[str, Any]) -> dict[str, Any]:
    """What `Module.apply` takes, of a parameter tree some leaves of which may be `Quantized`."""
    flat = traverse_util.flatten_dict(params)
    scales = {path: leaf.scale for path, leaf in flat.items() if isinstance(leaf, Quantized)}
    values = {path: leaf.values if isinstance(leaf, Quantized) else leaf for path, leaf in flat.items()}
    variables = {"params": traverse_util.unflatten_dict(values)}
    return variables | ({SCALES: traverse_util.unflatten_dict(scales)} if scales else {})
