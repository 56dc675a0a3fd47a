"""Trains a Flamingo: `python -m flamingo_jax.train --gin_file=gin/runs/quickstart.gin --workdir=runs/quickstart`.

The same command again resumes from the newest checkpoint in the workdir. Exit status: 0 when all steps are done, 130
when stopped before (Ctrl-C, SIGTERM; a checkpoint is saved first), 2 for an error that the user can mend, 3 when
another process of the run died or failed.

Of a run on several hosts, start this once on each, see `flamingo_jax.parallel.distributed`.
"""

from absl import flags

from flamingo_jax import command_line, config
from flamingo_jax.parallel import distributed
from flamingo_jax.training.loop import train
from flamingo_jax.training.run import RunConfig

command_line.define_run_flags()


def main() -> int:
    """Flags to gin to one call."""
    values = flags.FLAGS
    run = config.resolve(RunConfig, values.gin_file, values.gin)
    with distributed.joined(command_line.report):
        return 0 if train(run, values.workdir) == run.steps else 130


if __name__ == "__main__":
    command_line.run(main)
