"""Trains a Flamingo: `python -m flamingo_jax.train --gin_file=gin/runs/quickstart.gin --workdir=runs/quickstart`.

The same command again resumes from the newest checkpoint in the workdir. A configuration that differs from the
checkpoint's is shown; where that would change what is trained, --accept_changes says that it is meant.

SIGUSR1 saves a checkpoint after the update that runs, and the run goes on.

Exit status: 0 when all steps are done, 130 when stopped before (Ctrl-C, SIGTERM, a notice of pre-emption; a checkpoint
is saved first), 2 for an error that the user can mend, 3 when another process of the run died or failed.

Of a run on several hosts, start this once on each, see `flamingo_jax.parallel.distributed`.
"""

import functools
import logging
import os
import signal

from absl import flags

from flamingo_jax import command_line, config
from flamingo_jax.parallel import distributed
from flamingo_jax.parallel.preemption import PreemptionNotice
from flamingo_jax.training.loop import train
from flamingo_jax.training.profiling import parse_steps
from flamingo_jax.training.run import RunConfig

_logger = logging.getLogger(__name__)

command_line.define_run_flags()
flags.DEFINE_bool("accept_changes", False, "Go on though the configuration is not the one that the checkpoint is of.")
flags.DEFINE_string("profile_steps", "", "First and last update to trace into WORKDIR/profile, such as 101:103.")


def main() -> int:
    """Flags to gin to one call."""
    values = flags.FLAGS
    run = config.resolve(RunConfig, values.gin_file, values.gin)
    profile_steps = parse_steps(values.profile_steps)
    # What SIGTERM does, before it comes; and a checkpoint where there may be time to go on.
    notice = PreemptionNotice(functools.partial(_signal, signal.SIGTERM), functools.partial(_signal, signal.SIGUSR1))
    with distributed.joined(command_line.report), notice:
        done = train(run, values.workdir, accept_changes=values.accept_changes, profile_steps=profile_steps)
    return 0 if done >= run.steps else 130


def _signal(number: signal.Signals, reason: str) -> None:
    _logger.warning("%s", reason)
    os.kill(os.getpid(), number)


if __name__ == "__main__":
    command_line.run(main)
