"""Sets a run up that starts from another one's parameters, as one of several processes, and prints what it has.

Usage: initial_program.py GIN_FILE SOURCE. The output's last line is JSON: parameter path -> checksum.
"""

import dataclasses
import json
import sys

import absl.logging

from flamingo_jax import command_line, config
from flamingo_jax.parallel import distributed
from flamingo_jax.training.checksums import checksums
from flamingo_jax.training.design import Design
from flamingo_jax.training.initial import InitialConfig
from flamingo_jax.training.run import RunConfig
from flamingo_jax.training.setup import set_up
from tests.training.train_program import shorter


def main(gin_file: str, source: str) -> int:
    absl.logging.set_verbosity(absl.logging.FATAL)  # as `command_line.run` does; Orbax would fill the pipe
    run = shorter(config.resolve(RunConfig, [gin_file], []), 1, fsdp=2)
    with distributed.joined(command_line.report):
        setup = set_up(Design.make(dataclasses.replace(run, initial=InitialConfig(source, ("language_model/.*",)))))
        print(json.dumps(checksums(setup.params)), flush=True)
        return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
