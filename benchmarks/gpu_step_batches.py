"""How large a batch a device holds: a run's batches in their proportions, and a search over powers of two."""

import dataclasses
import math
from collections.abc import Callable

import jax

from flamingo_jax.parallel.mesh import make_mesh
from flamingo_jax.parallel.rules import batch_sharding
from flamingo_jax.training.run import RunConfig


def unit_sizes(run: RunConfig, devices: list[jax.Device]) -> dict[str, int]:
    """Dataset -> rows of the smallest batch that has the run's proportions and divides over devices and microbatches.

    Raises:
      ConfigError: the run's mesh does not fit the devices.
    """
    mesh = make_mesh(run.mesh, devices)
    parts = mesh.size // batch_sharding(mesh, run.mesh.rules).shard_shape((mesh.size,))[0]
    sizes = {name: dataset.batch_size for name, dataset in run.mixture.datasets}
    common = math.gcd(*sizes.values())
    sizes = {name: size // common for name, size in sizes.items()}
    multiples = {name: parts * count for name, count in run.parts.items()}
    factor = math.lcm(*(multiples[name] // math.gcd(size, multiples[name]) for name, size in sizes.items()))
    return {name: size * factor for name, size in sizes.items()}


def with_sizes(run: RunConfig, sizes: dict[str, int]) -> RunConfig:
    """The run with other batch sizes."""
    datasets = tuple(
        (name, dataclasses.replace(dataset, batch_size=sizes[name])) for name, dataset in run.mixture.datasets
    )
    return dataclasses.replace(run, mixture=dataclasses.replace(run.mixture, datasets=datasets))


def largest_fitting(needed: Callable[[int], float], room: float) -> int:
    """The largest power of two `scale` with `needed(scale) <= room`, 0 if 1 is too much; `needed` must not fall.

    Each answer of `needed` is a program compiled, so scales are doubled only until something is known of the growth:
    from two answers on the next is tried where a line through them says the limit is, though at most eight times on.
    """
    known: dict[int, float] = {}
    fits, exceeds = 0, math.inf
    scale = 1
    while True:
        known[scale] = needed(scale)
        if known[scale] <= room:
            fits = scale
        else:
            exceeds = scale
        if exceeds <= max(1, 2 * fits):
            return fits
        furthest = 8 * fits if math.isinf(exceeds) else exceeds // 2
        scale = min(max(2 * fits, _predicted(known, room)), furthest)


def _predicted(known: dict[int, float], room: float) -> int:
    """The power of two below which a line through the two largest finite answers meets `room`; 0 if there is none."""
    points = sorted((scale, size) for scale, size in known.items() if math.isfinite(size))[-2:]
    if len(points) < 2 or points[1][1] <= points[0][1]:
        return 0
    (scale, size), (last, top) = points
    reached = scale + (room - size) * (last - scale) / (top - size)
    return 2 ** math.floor(math.log2(reached)) if reached >= 1 else 0
