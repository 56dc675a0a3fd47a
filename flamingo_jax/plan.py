"""Plans a run before it is paid for: `python -m flamingo_jax.plan --gin_file=FILE --topology=v5p:8x12x16`.

Compiles the run's real step for the real topology on a machine without accelerators, and prints whether it fits, how
fast it will be and what its chips will exchange. No dataset or weights are opened. Exit status: 0 if it fits, 3 if it
does not (the plan says what to change), 130 after Ctrl-C, 2 for an error that the user can mend.
"""

import json
import os
import queue
import sys
import threading
from collections.abc import Callable
from typing import TypeVar

import jax
from absl import flags

from flamingo_jax import command_line, config
from flamingo_jax.parallel.topology import compiler_environment, parse_topology
from flamingo_jax.planning.plan import make_plan
from flamingo_jax.planning.report import render
from flamingo_jax.planning.summary import to_dict
from flamingo_jax.training.run import RunConfig

DOES_NOT_FIT = 3
T = TypeVar("T")

command_line.define_gin_flags()
flags.DEFINE_string(
    "topology", None, "Chip and shape of a slice: v4:8x12x16, v5e:16x16, v5p:2x2x1, v6e:8x8, ...", required=True
)
flags.DEFINE_integer("slices", 1, "Number of slices, over which the mesh's axis `replica` goes.")
flags.DEFINE_boolean("json", False, "Print the plan as JSON.")


def main() -> int:
    """Flags to gin to one call."""
    values = flags.FLAGS
    topology = parse_topology(values.topology, values.slices)
    run = config.resolve(RunConfig, values.gin_file, values.gin)
    _without_accelerators()
    try:
        plan = _interruptible(lambda: make_plan(run, topology))
    except KeyboardInterrupt:
        # The compiler cannot be stopped, and must not be waited for.
        print("interrupted", file=sys.stderr, flush=True)
        os._exit(130)
    print(json.dumps(to_dict(plan), indent=1) if values.json else render(plan))
    return 0 if plan.fits else DOES_NOT_FIT


def _without_accelerators() -> None:
    """Before the first use of JAX: it is to compile, and to run on nothing but the CPU."""
    os.environ.update(compiler_environment())
    jax.config.update("jax_platforms", "cpu")
    # Programs for chips that are not there can be written to a cache, but not read from it.
    jax.config.update("jax_enable_compilation_cache", False)


def _interruptible(work: Callable[[], T]) -> T:
    """Runs `work` in a thread: the compiler does not hear Ctrl-C, but the thread that waits for it does."""
    answers: queue.SimpleQueue = queue.SimpleQueue()

    def answer() -> None:
        try:
            answers.put((work(), None))
        except BaseException as error:  # whatever it is, it is raised again where it is awaited
            answers.put((None, error))

    threading.Thread(target=answer, daemon=True).start()
    found, error = answers.get()
    if error is not None:
        raise error
    return found


if __name__ == "__main__":
    command_line.run(main)
