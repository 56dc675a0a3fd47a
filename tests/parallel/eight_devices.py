"""One training step of the tiny model on meshes of 8 simulated devices; run by conftest.py in a process of its own.

Prints one JSON line: for each mesh the loss, how far the updated parameters are from those of one device, and how the
state is laid out.
"""

import dataclasses
import json
import sys

import jax
import numpy as np
from flax import linen as nn
from flax import traverse_util

from flamingo_jax import config as config_lib
from flamingo_jax.parallel.mesh import MeshConfig
from flamingo_jax.parallel.rules import REPLICATED, batch_sharding
from flamingo_jax.training.freezing import PAPER_RULES
from flamingo_jax.training.run import RunConfig, Setup, set_up
from flamingo_jax.training.state import TrainState
from flamingo_jax.training.step import LossConfig, make_step
from tests import tiny

SHARDED = (*REPLICATED, ("embed", "fsdp"), ("mlp", "fsdp"), ("resampler_embed", "fsdp"))
MESHES = {"data": MeshConfig(data=8), "fsdp": MeshConfig(data=2, fsdp=4, rules=SHARDED)}


def main(gin_file: str) -> None:
    # A bare layer and two groups of two: without a tail there is less to compile.
    run = config_lib.resolve(RunConfig, [gin_file], ["flamingo.FlamingoConfig.cross_attention_first = 1"])
    # With a large epsilon an update follows the gradient's size, not only its sign, which rounding can turn.
    optimizer = dataclasses.replace(run.optimizer, eps=1e-2, learning_rate=1.0, warmup_steps=1)
    run = dataclasses.replace(run, optimizer=optimizer, freezing=PAPER_RULES)
    batch = tiny.random_batch(rows=8, images=2, frames=1)
    batch.pop("skipped")
    report, expected = {}, {}
    for name, mesh in MESHES.items():
        setup = set_up(dataclasses.replace(run, mesh=mesh))
        if not expected:
            report["alone"], expected = on_one_device(setup, batch)
        sharding = batch_sharding(setup.mesh, mesh.rules)
        placed = {key: jax.make_array_from_process_local_data(sharding, value) for key, value in batch.items()}
        with nn.logical_axis_rules(mesh.rules), jax.set_mesh(setup.mesh):
            state, metrics = step(setup)(setup.state, setup.frozen, {"m3w": placed})
        report[name] = {
            "shape": dict(setup.mesh.shape),
            "loss": float(metrics["loss"]),
            "difference": {
                path: float(np.abs(leaf - expected[path]).max()) for path, leaf in flat(state.params).items()
            },
            "rows": list(placed["tokens"].addressable_shards[0].data.shape),
            "before": layout(setup.state),
            "after": layout(state),
            "frozen": {path: list(shard(leaf)) for path, leaf in flat(setup.frozen, keep=True).items()},
        }
    print(json.dumps(report))


def on_one_device(setup: Setup, batch: dict) -> tuple[dict, dict]:
    """The step without a mesh: its loss, how far each parameter moved, and where to."""
    first = jax.devices()[0]
    state, frozen = jax.device_put(jax.device_get((setup.state, setup.frozen)), first)
    after, metrics = step(setup)(state, frozen, {"m3w": jax.device_put(batch, first)})
    start, end = flat(state.params), flat(after.params)
    moved = {path: float(np.abs(end[path] - leaf).max()) for path, leaf in start.items()}
    return {"loss": float(metrics["loss"]), "moved": moved}, end


def step(setup: Setup):
    """The compiled step of this run, for one dataset."""
    return jax.jit(make_step(setup.model, setup.optimizer, lambda count: 0.0, LossConfig({"m3w": 1.0})))


def flat(params: dict, keep: bool = False) -> dict:
    leaves = traverse_util.flatten_dict(params, sep="/")
    return leaves if keep else {path: np.asarray(leaf) for path, leaf in leaves.items()}


def shard(leaf: jax.Array) -> tuple[int, ...]:
    """The shape of what one device holds of it."""
    return leaf.addressable_shards[0].data.shape


def layout(state: TrainState) -> dict[str, list[int]]:
    """Shard shapes by path in the state, optimizer moments included."""
    leaves = jax.tree_util.tree_leaves_with_path(state)
    return {jax.tree_util.keystr(path, simple=True, separator="/"): list(shard(leaf)) for path, leaf in leaves}


if __name__ == "__main__":
    main(sys.argv[1])
