"""A short run that evaluates itself, alone or as one of several processes.

Usage: in_training_program.py GIN_FILE WORKDIR DATA_DIR [MESH_AXIS=SIZE]...
"""

import dataclasses
import sys

from flamingo_jax import command_line, config
from flamingo_jax.evaluation.fewshot.in_training import InTraining
from flamingo_jax.parallel import distributed
from flamingo_jax.training.loop import train
from flamingo_jax.training.run import RunConfig
from tests.training.train_program import shorter

STEPS, ITEMS = 3, 6


def evaluations(data_dir: str) -> tuple[InTraining, ...]:
    """Of ranked and of written answers."""
    shared = {"data_dir": data_dir, "max_items": ITEMS, "every": 2, "batch_size": 4, "dev": False}
    return (
        InTraining("embedded_web_questions", shots=(0, 2), **shared),
        InTraining("embedded_web_captions", shots=(1,), **shared),
    )


def evaluated(gin_file: str, data_dir: str, **axes: int) -> RunConfig:
    """The run."""
    run = shorter(config.resolve(RunConfig, [gin_file], []), STEPS, **axes)
    return dataclasses.replace(run, evaluations=evaluations(data_dir))


def main(gin_file: str, workdir: str, data_dir: str, *axes: str) -> int:
    run = evaluated(gin_file, data_dir, **{name: int(size) for name, size in (axis.split("=") for axis in axes)})
    with distributed.joined(command_line.report):
        return 0 if train(run, workdir) == STEPS else 130


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
