"""Position embeddings for another grid of patches than the trained one, resized as each family's own code does it.

A resize is a matrix for each axis, a constant of the two grids' sizes. Sample i of the output stands at
`(i + 0.5) * size / target - 0.5` of the input (pixel centres; the corners do not align).
"""

from collections.abc import Callable

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

Kernel = Callable[[np.ndarray], np.ndarray]


def _cubic(a: float) -> Kernel:
    """Keys' cubic convolution kernel (Keys, 1981), of half-width 2; `a` is its slope at distance 1."""

    def kernel(x: np.ndarray) -> np.ndarray:
        x = np.abs(x)
        near = ((a + 2) * x - (a + 3)) * x * x + 1
        far = a * (((x - 5) * x + 8) * x - 4)
        return np.where(x <= 1, near, np.where(x < 2, far, 0.0))

    return kernel


def _triangle(x: np.ndarray) -> np.ndarray:
    return np.maximum(1 - np.abs(x), 0.0)


# Torch's kernels, each with its half-width: with `antialias` its cubic has another slope than without.
_KERNELS: dict[str, tuple[Kernel, int, bool]] = {
    "bicubic": (_cubic(-0.75), 2, False),
    "bicubic_antialias": (_cubic(-0.5), 2, True),
    "bilinear_antialias": (_triangle, 1, True),
}
INTERPOLATIONS = tuple(_KERNELS)


def resize_matrix(size: int, target: int, interpolation: str) -> Float[np.ndarray, "target size"]:
    """The matrix that resizes an axis of `size` samples to `target`, in float32; every row sums to 1.

    Args:
      size, target: numbers of samples.
      interpolation: "bicubic": four samples around each place, those beyond the edge being the edge's.
        "bicubic_antialias", "bilinear_antialias": where the axis shrinks, the kernel widens by as much; what lies
        beyond the edge is left out and the rest scaled up. All as `torch.nn.functional.interpolate` with
        `align_corners=False`.

    Raises:
      ValueError: the interpolation is unknown, or a size is not positive.
    """
    if interpolation not in _KERNELS:
        raise ValueError(f"unknown interpolation {interpolation!r}; known: {', '.join(INTERPOLATIONS)}")
    if size < 1 or target < 1:
        raise ValueError(f"cannot resize {size} positions to {target}: both must be at least 1")
    kernel, half_width, antialias = _KERNELS[interpolation]
    places = (np.arange(target) + 0.5) * (size / target) - 0.5
    matrix = np.zeros((target, size))
    if not antialias:
        below = np.floor(places).astype(int)
        for offset in range(1 - half_width, 1 + half_width):
            samples = below + offset
            np.add.at(matrix, (np.arange(target), np.clip(samples, 0, size - 1)), kernel(places - samples))
        return matrix.astype(np.float32)
    spread = max(size / target, 1.0)
    matrix = kernel((np.arange(size)[None] - places[:, None]) / spread)
    return (matrix / matrix.sum(axis=1, keepdims=True)).astype(np.float32)


def resize_grid(
    table: Float[Array, "height*width channels"],
    grid: tuple[int, int],
    target: tuple[int, int],
    interpolation: str,
) -> Float[Array, "new_height*new_width channels"]:
    """Embeddings of a grid of positions, row by row, for a grid of another size, in float32; the same grid: unchanged.

    Raises:
      ValueError: as `resize_matrix`.
    """
    table = jnp.asarray(table, jnp.float32)
    if grid == target:
        return table
    rows, columns = (resize_matrix(*sizes, interpolation) for sizes in zip(grid, target, strict=True))
    resized = jnp.einsum("yh,xw,hwc->yxc", rows, columns, table.reshape(*grid, -1), precision="highest")
    return resized.reshape(target[0] * target[1], -1)
