"""A run of the tiny model on one of its datasets that is made to be killed, alone or as one of several processes.

Usage: torture_program.py GIN_FILE WORKDIR STEPS BATCHES [MESH_AXIS=SIZE]... Appends to the file BATCHES one line for
each row that this process reads: data step, row and digest.
"""

import dataclasses
import hashlib
import sys
from pathlib import Path

from flamingo_jax import command_line, config
from flamingo_jax.data.stream import BatchStream
from flamingo_jax.parallel import distributed
from flamingo_jax.training.checkpoints import CheckpointConfig
from flamingo_jax.training.design import Design
from flamingo_jax.training.host_batches import HostBatches
from flamingo_jax.training.loop import train
from flamingo_jax.training.run import RunConfig
from tests.training.train_program import DATASET, shorter

EVERY = 5


def main(gin_file: str, workdir: str, steps: str, batches: str, *axes: str) -> int:
    run = config.resolve(RunConfig, [gin_file], [])
    run = shorter(run, int(steps), **{name: int(size) for name, size in (axis.split("=") for axis in axes)})
    # On another mesh sums are rounded otherwise, which training makes more of, the more the faster it learns.
    slower = dataclasses.replace(run.optimizer, learning_rate=1e-4)
    run = dataclasses.replace(run, optimizer=slower, checkpoints=CheckpointConfig(every=EVERY, keep=2))
    with distributed.joined(command_line.report), Path(batches).open("a", buffering=1) as log:
        rows = HostBatches(Design.make(run)).rows[DATASET]
        real = BatchStream.__next__

        def noted(stream: BatchStream):
            step, batch = stream.step, real(stream)
            for place, row in enumerate(rows):
                digest = hashlib.sha256(
                    b"".join(batch[DATASET][key][place].tobytes() for key in sorted(batch[DATASET]))
                )
                log.write(f"{step} {row} {digest.hexdigest()}\n")
            return batch

        BatchStream.__next__ = noted
        return 0 if train(run, workdir) == run.steps else 130


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
