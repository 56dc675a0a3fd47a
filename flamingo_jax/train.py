"""Trains a Flamingo: `python -m flamingo_jax.train --gin_file=gin/runs/quickstart.gin --workdir=runs/quickstart`.

The same command again resumes from the newest checkpoint in the workdir.
"""

from absl import flags

from flamingo_jax import command_line, config
from flamingo_jax.training.loop import train
from flamingo_jax.training.run import RunConfig

command_line.define_run_flags()


def main() -> None:
    """Flags to gin to one call."""
    values = flags.FLAGS
    train(config.resolve(RunConfig, values.gin_file, values.gin), values.workdir)


if __name__ == "__main__":
    command_line.run(main)
