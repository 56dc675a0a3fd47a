"""What a device can do at best: the rate of its fastest matrix product, measured."""

import dataclasses
import time
from collections.abc import Iterable

import jax
import jax.numpy as jnp
from gpu_step_values import uniform

SIDES = {"gpu": (4096, 8192, 16384), "cpu": (256, 512)}
ROWS = {"gpu": (8192, 65536), "cpu": (256,)}
SECONDS = {"gpu": 0.2, "cpu": 0.02}
_ROUNDS = 5

Product = tuple[int, int, int]  # rows, contracted, columns


@dataclasses.dataclass(frozen=True)
class Peak:
    """The best of several products.

    Attributes:
      flops: of one device, a second.
      product: rows x contracted x columns of the one that reached it.
      all: the rate of each, by its name.
    """

    flops: float
    product: str
    all: dict[str, float]


def products(platform: str, width: int, hidden: int) -> list[Product]:
    """Squares, and a language model's two dense products of many tokens."""
    squares = [(side, side, side) for side in SIDES[platform]]
    dense = [(width, hidden), (hidden, width)]
    return squares + [(rows, *sides) for rows in ROWS[platform] for sides in dense]


def measure_peak(device: jax.Device, products: Iterable[Product], seconds: float) -> Peak:
    """Times each product in bfloat16, five rounds of about `seconds` each, and takes the best round.

    XLA has bfloat16 products accumulated in float32 on GPUs and TPUs. The factors are random: chips lower their clocks
    by the power they draw, and draw less on zeros.
    """
    rates = {" x ".join(map(str, each)): _rate(device, each, seconds) for each in products}
    best = max(rates, key=rates.__getitem__)
    return Peak(rates[best], best, rates)


def _rate(device: jax.Device, product: Product, seconds: float) -> float:
    rows, contracted, columns = product
    with jax.default_device(device):
        draw = jax.jit(uniform, static_argnums=(0, 1))
        a, b = draw((rows, contracted), jnp.bfloat16, 0), draw((contracted, columns), jnp.bfloat16, 1)
    multiply = jax.jit(jnp.matmul).lower(a, b).compile()

    def timed(repeats: int) -> float:
        # All are in the device's queue before the first is done, so the host's part is hidden; the queue is in order.
        start = time.perf_counter()
        for _ in range(repeats):
            result = multiply(a, b)
        result.block_until_ready()
        return time.perf_counter() - start

    timed(2)
    repeats = max(1, int(seconds / (timed(3) / 3)))
    fastest = min(timed(repeats) for _ in range(_ROUNDS)) / repeats
    return 2 * rows * contracted * columns / fastest
