"""A run of the tiny model whose process 1 does something else before each of its updates.

Usage: slow_program.py GIN_FILE WORKDIR STEPS SECONDS WHERE, as one of several processes. WHERE is "before" or "after"
the update is given to the devices, or "data".
"""

import dataclasses
import sys
import time

import jax

from flamingo_jax import command_line, config
from flamingo_jax.data.stream import BatchStream
from flamingo_jax.parallel import distributed
from flamingo_jax.training.guard import Guard
from flamingo_jax.training.health import HealthConfig
from flamingo_jax.training.host_batches import HostBatches
from flamingo_jax.training.loop import train
from flamingo_jax.training.run import RunConfig
from tests.training.train_program import shorter

WINDOW = 8


def main(gin_file: str, workdir: str, steps: str, seconds: str, where: str) -> int:
    run = shorter(config.resolve(RunConfig, [gin_file], []), int(steps), data=-1)
    run = dataclasses.replace(run, health=HealthConfig(host_window=WINDOW))
    owner, name = {
        "before": (HostBatches, "place"),
        "after": (Guard, "record"),
        "data": (BatchStream, "__next__"),
    }[where]
    real = getattr(owner, name)

    def late(self, *arguments):
        if jax.process_index() == 1:
            time.sleep(float(seconds))
        return real(self, *arguments)

    setattr(owner, name, late)
    with distributed.joined(command_line.report):
        return 0 if train(run, workdir) == run.steps else 130


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
