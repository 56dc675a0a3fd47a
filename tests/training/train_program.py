"""A short run of the tiny model on one of its datasets, alone or as one of several processes.

Usage: train_program.py GIN_FILE WORKDIR STEPS [MESH_AXIS=SIZE]... Prints "rows [...]": those that this process reads.
"""

import dataclasses
import sys

from flamingo_jax import command_line, config
from flamingo_jax.parallel import distributed
from flamingo_jax.parallel.mesh import MeshConfig
from flamingo_jax.parallel.rules import REPLICATED
from flamingo_jax.training.checkpoints import CheckpointConfig
from flamingo_jax.training.design import Design
from flamingo_jax.training.host_batches import HostBatches
from flamingo_jax.training.loop import train
from flamingo_jax.training.run import RunConfig

DATASET = "pairs"
SHARDED = (*REPLICATED, ("mlp", "tensor"), ("heads", "tensor"), ("embed", "fsdp"))


def shorter(run: RunConfig, steps: int, **axes: int) -> RunConfig:
    """The run with one dataset, so that there is little to compile, on a mesh of these axes."""
    datasets = tuple(pair for pair in run.mixture.datasets if pair[0] == DATASET)
    return dataclasses.replace(
        run,
        mixture=dataclasses.replace(run.mixture, datasets=datasets),
        mesh=MeshConfig(**axes, rules=SHARDED),
        checkpoints=CheckpointConfig(every=1000),
        optimizer=dataclasses.replace(run.optimizer, eps=1e-3),  # else rounding can turn the sign of an update
        steps=steps,
    )


def main(gin_file: str, workdir: str, steps: str, *axes: str) -> int:
    run = config.resolve(RunConfig, [gin_file], [])
    run = shorter(run, int(steps), **{name: int(size) for name, size in (axis.split("=") for axis in axes)})
    with distributed.joined(command_line.report):
        print("rows", HostBatches(Design.make(run)).rows[DATASET], flush=True)
        return 0 if train(run, workdir) == run.steps else 130


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
