"""Training steps of the tiny model under sets of sharding rules, on meshes of 8 simulated devices.

Run by conftest.py in a process of its own, with the gin file, the datasets and the sets as arguments. Prints one JSON
line: for each set the losses and the parameters after five steps against those of one device, and how the state lies.
"""

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax import traverse_util

from flamingo_jax import config as config_lib
from flamingo_jax.training.design import Design
from flamingo_jax.training.run import RunConfig
from flamingo_jax.training.setup import Setup, set_up
from flamingo_jax.training.state import TrainState
from tests import tiny

STEPS = 5
SHARDING = Path(__file__).parents[2] / "gin" / "sharding"
MESHES = {
    "replicated": {"data": 8},
    "fsdp": {"data": 2, "fsdp": 4},
    "fsdp_tensor": {"data": 2, "fsdp": 2, "tensor": 2},
    "megatron_zero1": {"data": 2, "fsdp": 2, "tensor": 2},
}
JOINED = ("fsdp_tensor",)
"""Sets under which pairs and clips go through the language model together, in two microbatches."""
# A vocabulary, heads and hidden states that two devices can share; a bare layer and two groups of two: without a tail
# there is less to compile.
BINDINGS = [
    "flamingo.FlamingoConfig.cross_attention_first = 1",
    "optimizer.OptimizerConfig.warmup_steps = 1",
    # With a large epsilon an update follows the gradient's size, not only its sign, which rounding can turn.
    "optimizer.OptimizerConfig.eps = 1e-3",
    "optimizer.OptimizerConfig.learning_rate = 1e-2",
    # Visual tokens that differ: where they hardly do, the gradient of the queries is a small rest of large terms.
    "resampler.PerceiverResamplerConfig.latents_init_std = 1.0",
]


def main(gin_file: str, datasets: str, *names: str) -> None:
    alone = set_up(design(gin_file, datasets, [], {"data": 1}, jax.devices()[:1]))
    start = flat(alone.params)
    losses, expected = run(alone)
    moved = {path: distance(start[path], leaf) for path, leaf in expected.items()}
    report = {"alone": {"losses": losses, "moved": moved}}
    for name in names:
        changes = {"joined": (("pairs", "clips"),), "microbatches": {"pairs+clips": 2}} if name in JOINED else {}
        rules = [str(SHARDING / f"{name}.gin")]
        setup = set_up(design(gin_file, datasets, rules, MESHES[name], jax.devices(), **changes))
        before, frozen = layout(setup.start()), layout(setup.frozen)
        losses, params = run(setup, after := {})
        report[name] = {
            "losses": losses,
            "difference": {path: distance(leaf, expected[path]) for path, leaf in params.items()},
            "before": before,
            "frozen": frozen,
            **after,
        }
    print(json.dumps(report))


def design(
    gin_file: str, names: str, sharding: list[str], sizes: dict[str, int], devices: list[jax.Device], **changes: Any
) -> Design:
    """The tiny run with 8 rows of each of the datasets, and what changes about it."""
    found = config_lib.resolve(RunConfig, [gin_file, *sharding], BINDINGS)
    datasets = tuple(
        (name, dataclasses.replace(dataset, batch_size=8, length=12))
        for name, dataset in found.mixture.datasets
        if name in names.split(",")
    )
    mixture = dataclasses.replace(found.mixture, datasets=datasets)
    mesh = dataclasses.replace(found.mesh, **sizes)
    return Design.make(dataclasses.replace(found, mixture=mixture, mesh=mesh, **changes), devices)


def run(setup: Setup, after: dict | None = None) -> tuple[list[float], dict[str, np.ndarray]]:
    """The losses of some steps, and the parameters at their end; tells into `after` how things lie then."""
    made, losses, state = setup.design, [], setup.start()
    ((names, shapes),) = made.batches.items()
    with made.scope():
        for number in range(STEPS):
            batch = {name: place(number, index, shapes[name]) for index, name in enumerate(names)}
            state, metrics = made.step(state, setup.frozen, batch)
            losses.append(float(metrics["loss"]))
    if after is not None:
        after |= {"after": layout(state), "rows": list(shard(batch[names[0]]["tokens"]))}
    return losses, flat(state.params)


def place(number: int, index: int, shapes: dict) -> dict[str, jax.Array]:
    rows, images, frames = shapes["frame_mask"].shape
    length, pixels = shapes["tokens"].shape[1], shapes["images"].shape[3]
    batch = tiny.random_batch(100 * number + index, rows, length, images, frames, pixels)
    batch["image_first"] = batch["image_index"]
    return {key: jax.device_put(batch[key], leaf.sharding) for key, leaf in shapes.items()}


def distance(leaf: np.ndarray, other: np.ndarray) -> float:
    """Relative L2."""
    return float(np.linalg.norm(leaf - other) / max(np.linalg.norm(other), 1e-30))


def flat(params: dict) -> dict[str, np.ndarray]:
    return {path: np.array(leaf) for path, leaf in traverse_util.flatten_dict(params, sep="/").items()}


def shard(leaf: jax.Array) -> tuple[int, ...]:
    """The shape of what one device holds of it."""
    return leaf.addressable_shards[0].data.shape


def layout(state: TrainState | dict) -> dict[str, list[int]]:
    """Shard shapes by path."""
    leaves = jax.tree_util.tree_leaves_with_path(state)
    return {jax.tree_util.keystr(path, simple=True, separator="/"): list(shard(leaf)) for path, leaf in leaves}


if __name__ == "__main__":
    main(*sys.argv[1:])
