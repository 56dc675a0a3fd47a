"""What a checkpoint costs the thread that trains: written in the background, against waiting until it is on disk.

    python benchmarks/async_saving.py [--megabytes 400] [--rounds 7] [--folder DIR]

Saves the same state both ways in turn, each round under a new step, and prints medians.
"""

import argparse
import statistics
import tempfile
import time

import jax
import numpy as np
from etils import epath

from flamingo_jax.training.checkpoints import CheckpointConfig, Checkpoints
from flamingo_jax.training.checksums import checksums
from flamingo_jax.training.health import healthy
from flamingo_jax.training.position import Position
from flamingo_jax.training.state import TrainState


def state(megabytes: int) -> TrainState:
    """Parameters and two moments of each, in leaves of 4 MB and less; random, so that they do not compress."""
    rng = np.random.default_rng(0)
    count = max(1, megabytes // 12)

    def leaves() -> dict[str, jax.Array]:
        return {f"layer_{n}": jax.device_put(rng.normal(size=(1024, 1024)).astype(np.float32)) for n in range(count)}

    health = jax.tree.map(jax.device_put, healthy(["a"]))
    return TrainState(jax.device_put(np.int32(0)), leaves(), (leaves(), leaves()), health)


def main() -> None:
    """Prints one line a way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--folder", default=None, help="where to write; a temporary folder by default")
    given = parser.parse_args()
    values = state(given.megabytes)
    size = sum(leaf.nbytes for leaf in jax.tree.leaves(values)) / 1e6
    times: dict[str, list[float]] = {"in the background": [], "waiting": [], "checksums alone": []}
    with (
        tempfile.TemporaryDirectory(dir=given.folder) as folder,
        Checkpoints(epath.Path(folder), CheckpointConfig(keep=1)) as checkpoints,
    ):

        def save(step: int, wait: bool) -> float:
            began = time.perf_counter()
            checkpoints.save(values, Position(step, step), "{}", "", {"a": 1.0})
            if wait:
                checkpoints.wait()
            took = time.perf_counter() - began
            checkpoints.wait()
            return took

        save(0, wait=True)  # compiles, opens
        for number in range(given.rounds):
            times["in the background"].append(save(2 * number + 1, wait=False))
            times["waiting"].append(save(2 * number + 2, wait=True))
            began = time.perf_counter()
            checksums(values._asdict())
            times["checksums alone"].append(time.perf_counter() - began)
    print(f"{size:.0f} MB, {given.rounds} rounds")
    whole = statistics.median(times["waiting"])
    for name, seconds in times.items():
        middle = statistics.median(seconds)
        print(f"{name:18s} {middle:.3f} s, {middle / whole:.1%} of waiting ({min(seconds):.3f} to {max(seconds):.3f})")


if __name__ == "__main__":
    main()
