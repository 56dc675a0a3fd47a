"""Walking through a large array some megabytes at a time, so that a cast or a transposition costs no second copy."""

from collections.abc import Iterator

import numpy as np

from flamingo_jax.interop.files.tensors import WeightsError

_PIECE_BYTES = 1 << 24


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
        data = np.ascontiguousarray(cast(piece, dtype, name)).reshape(-1)
        yield data.view(np.uint8)


def cast(array: np.ndarray, dtype: np.dtype, name: str = "") -> np.ndarray:
    """`array` in `dtype`: itself, if it has that type, or in row-major order.

    Raises:
      WeightsError: a finite number has no finite place in `dtype`; the message says `name`.
    """
    if array.dtype == dtype:
        return array
    with np.errstate(over="ignore"):
        data = array.astype(dtype, order="C")
    if dtype.itemsize < array.itemsize and not np.isfinite(data).all():
        lost = np.isfinite(array) & ~np.isfinite(data)
        if lost.any():
            raise WeightsError(
                f"{name} holds {array[lost].flat[0]}, which is beyond the largest {dtype}; keep its type"
            )
    return data
