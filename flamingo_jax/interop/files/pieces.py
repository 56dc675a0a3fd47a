"""Walking through a large array some megabytes at a time, so that a cast or a transposition costs no second copy."""

import math
from collections.abc import Iterator

import numpy as np
from numpy.lib.stride_tricks import as_strided

from flamingo_jax.interop.files.tensors import WeightsError

_PIECE_BYTES = 1 << 24
_TILE = 1024, 16  # of the sizes tried, the fastest for elements of 2 and of 4 bytes


def pieces(array: np.ndarray, most: int = _PIECE_BYTES) -> Iterator[np.ndarray]:
    """Views of `array` of at most `most` bytes (but one element at least) that, flattened and joined, are all of it."""
    if array.nbytes <= most or not array.ndim:
        yield array
    elif array.flags.c_contiguous:
        flat = array.reshape(-1)
        step = max(1, most // array.itemsize)
        yield from (flat[start : start + step] for start in range(0, array.size, step))
    elif step := most // array[0].nbytes:
        yield from (array[start : start + step] for start in range(0, len(array), step))
    else:
        for part in array:
            yield from pieces(part, most)


def raw(array: np.ndarray, dtype: np.dtype, name: str = "") -> Iterator[np.ndarray]:
    """The bytes of `array` in row-major order and in `dtype`, as flat uint8 arrays.

    Raises:
      WeightsError: a finite number has no finite place in `dtype`; the message says `name`.
    """
    for piece in pieces(array):
        yield cast(row_major(piece), dtype, name).reshape(-1).view(np.uint8)


def row_major(array: np.ndarray) -> np.ndarray:
    """`array` in row-major order: itself, or a copy.

    A transposed matrix is copied in tiles: numpy goes through one side of it in strides, of which each touches another
    line of the cache, which takes five times as long.
    """
    if array.flags.c_contiguous:
        return array
    copy = np.empty(array.shape, array.dtype)
    for axis in range(1, array.ndim):
        strides = _stride(array, 0, axis), _stride(array, axis, array.ndim)
        if strides[0] == array.itemsize <= 8 and strides[1]:
            sides = math.prod(array.shape[:axis]), math.prod(array.shape[axis:])
            plain = f"u{array.itemsize}"  # numpy's own types are copied faster than others
            source, target = as_strided(array, sides, strides).view(plain), copy.reshape(sides).view(plain)
            for row in range(0, sides[0], _TILE[0]):
                for column in range(0, sides[1], _TILE[1]):
                    tile = slice(row, row + _TILE[0]), slice(column, column + _TILE[1])
                    target[tile] = source[tile]
            return copy
    copy[...] = array
    return copy


def _stride(array: np.ndarray, start: int, end: int) -> int:
    """The stride of the axes from `start` to `end` as one; 0 if they do not lie so."""
    axes = range(start, end - 1)
    even = all(array.strides[axis] == array.strides[axis + 1] * array.shape[axis + 1] for axis in axes)
    return array.strides[end - 1] if even else 0


def cast(array: np.ndarray, dtype: np.dtype, name: str = "") -> np.ndarray:
    """`array` in `dtype`: itself, if it has that type.

    Raises:
      WeightsError: a finite number has no finite place in `dtype`; the message says `name`.
    """
    if array.dtype == dtype:
        return array
    with np.errstate(over="ignore"):
        data = array.astype(dtype)
    if dtype.itemsize < array.itemsize and not np.isfinite(data).all():
        lost = np.isfinite(array) & ~np.isfinite(data)
        if lost.any():
            raise WeightsError(
                f"{name} holds {array[lost].flat[0]}, which is beyond the largest {dtype}; keep its type"
            )
    return data
