"""Times both ways of a depthwise convolution at shapes of EfficientNet-lite0.

    python benchmarks/depthwise_convolution.py

The figures are in benchmarks/README.md.
"""

import time

import jax
import numpy as np

from flamingo_jax.models.vision.convolution import convolution, shifted_products

# Side, channels, kernel size and stride of layers at 160 px.
SHAPES = (
    (80, 32, 3, 1),
    (80, 96, 3, 2),
    (40, 144, 3, 1),
    (40, 144, 5, 2),
    (20, 240, 3, 2),
    (10, 480, 3, 1),
    (10, 672, 5, 1),
)
BATCH, REPEATS = 9, 5


def grouped_convolution(x: jax.Array, kernel: jax.Array, stride: int) -> jax.Array:
    """XLA's own."""
    return convolution(x, kernel, stride, groups=x.shape[-1])


def milliseconds(way, x: np.ndarray, kernel: np.ndarray, stride: int) -> float:
    """Of one call, the mean of a few after the first."""
    run = jax.jit(way, static_argnums=2)
    jax.block_until_ready(run(x, kernel, stride))
    start = time.perf_counter()
    for _ in range(REPEATS):
        jax.block_until_ready(run(x, kernel, stride))
    return (time.perf_counter() - start) / REPEATS * 1e3


def main() -> None:
    """Prints a table."""
    rng = np.random.default_rng(0)
    print("side channels kernel stride   grouped   shifted   ratio   (ms, batch of 9)")
    for side, channels, size, stride in SHAPES:
        x = rng.normal(size=(BATCH, side, side, channels)).astype(np.float32)
        kernel = rng.normal(size=(size, size, 1, channels)).astype(np.float32)
        grouped, shifted = (milliseconds(way, x, kernel, stride) for way in (grouped_convolution, shifted_products))
        print(f"{side:4d} {channels:8d} {size:6d} {stride:6d} {grouped:9.1f} {shifted:9.1f} {grouped / shifted:7.1f}")


if __name__ == "__main__":
    main()
