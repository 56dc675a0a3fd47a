"""Checksums of arrays, computed where they lie: the same on any mesh, in the time of reading them from device memory.

A checkpoint goes through serializers, networks and disks. Its checksums are of the values before all of that and are
compared with the values after it, so they find any damage on the way, in whichever file and of whichever kind.

Each element's bits are mixed with its place in the array, by the finalizer of MurmurHash3, and two sums are taken of
the results modulo 2^32: plain, and weighted with an odd number that tells the place. Integer sums do not depend on
their order, so neither do the checksums on how the array is sharded.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jaxtyping import Array, Shaped, UInt32

from flamingo_jax.parallel.rules import replicated

_SEED = 0x9E3779B9  # so that zeros at the first place are no 0


class Checksums:
    """Of the leaves of a tree; they may still be under way. Of several processes, all must make one.

    Args:
      tree: of arrays.
    """

    def __init__(self, tree: Any):
        paths, leaves = zip(*jax.tree_util.tree_leaves_with_path(tree), strict=True)
        self._paths = [jax.tree_util.keystr(path, simple=True, separator="/") for path in paths]
        meshes = {leaf.sharding.mesh for leaf in leaves if isinstance(getattr(leaf, "sharding", None), NamedSharding)}
        self._found = _program(meshes.pop() if meshes else None)(list(leaves))

    def wait(self) -> dict[str, str]:
        """Path of each leaf (`params/resampler/latents`) -> its checksum, 16 hexadecimal digits."""
        found = np.asarray(jax.device_get(self._found)).tolist()
        return {path: f"{first:08x}{second:08x}" for path, (first, second) in zip(self._paths, found, strict=True)}


def checksums(tree: Any) -> dict[str, str]:
    """See `Checksums.wait`."""
    return Checksums(tree).wait()


@functools.cache
def _program(mesh: Mesh | None) -> Any:
    """Every process is to have all of the sums."""
    return jax.jit(_checksums, out_shardings=replicated(mesh) if mesh is not None else None)


def _checksums(leaves: list[Shaped[Array, "..."]]) -> UInt32[Array, "leaves 2"]:
    return jnp.stack([_checksum(leaf) for leaf in leaves])


def _checksum(array: Shaped[Array, "..."]) -> UInt32[Array, "2"]:
    size = array.dtype.itemsize * 8
    bits = array if jnp.issubdtype(array.dtype, jnp.bool_) else jax.lax.bitcast_convert_type(array, f"uint{size}")
    places = _places(array.shape)
    mixed = _mix(bits.astype(jnp.uint32) ^ _mix(places + jnp.uint32(_SEED)))
    weighted = mixed * (2 * places + 1)
    return jnp.stack([jnp.sum(mixed, dtype=jnp.uint32), jnp.sum(weighted, dtype=jnp.uint32)])


def _places(shape: tuple[int, ...]) -> UInt32[Array, "..."]:
    """The number of each element in row-major order, modulo 2^32."""
    strides = [functools.reduce(lambda a, b: a * b, shape[axis + 1 :], 1) % (1 << 32) for axis in range(len(shape))]
    parts = [
        jax.lax.broadcasted_iota(jnp.uint32, shape, axis) * jnp.uint32(stride) for axis, stride in enumerate(strides)
    ]
    return functools.reduce(jnp.add, parts, jnp.zeros(shape, jnp.uint32))


def _mix(bits: UInt32[Array, "..."]) -> UInt32[Array, "..."]:
    """The finalizer of MurmurHash3 for 32 bits: each bit of the input changes each of the output half of the time."""
    bits = (bits ^ (bits >> 16)) * jnp.uint32(0x85EBCA6B)
    bits = (bits ^ (bits >> 13)) * jnp.uint32(0xC2B2AE35)
    return bits ^ (bits >> 16)
