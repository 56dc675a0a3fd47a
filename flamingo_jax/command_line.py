"""What the entry points share: their flags, and errors that end in one line."""

import logging
import math
import os
import sys
import traceback
from collections.abc import Callable, Iterable, Sequence
from typing import NoReturn

import absl.logging
from absl import app, flags
from tqdm import tqdm

from flamingo_jax.config import ConfigError
from flamingo_jax.data.errors import RecordError, SkipRateError
from flamingo_jax.data.tokenizer import TokenizerError
from flamingo_jax.inference.prompts import PromptError
from flamingo_jax.interop.files.tensors import WeightsError
from flamingo_jax.parallel.topology import compiler_environment
from flamingo_jax.training.checkpoint_errors import CheckpointError
from flamingo_jax.training.guard import HealthError
from flamingo_jax.training.lease import LeaseError

# What a user can mend. Everything else is a bug, and shows its traceback.
USER_ERRORS = (
    OSError,
    ConfigError,
    WeightsError,
    TokenizerError,
    CheckpointError,
    HealthError,
    LeaseError,
    PromptError,
    RecordError,
    SkipRateError,
)
_STORAGE_PACKAGES = ("etils", "fsspec")  # They open gs:// and the like, each with a package of its own.


def define_gin_flags() -> None:
    """`--gin_file` and `--gin`."""
    flags.DEFINE_multi_string("gin_file", [], "Gin file of the run, such as gin/runs/quickstart.gin; may be repeated.")
    flags.DEFINE_multi_string("gin", [], 'Extra binding, "NAME=VALUE", after the files; may be repeated.')


def define_run_flags() -> None:
    """`--gin_file`, `--gin` and `--workdir`."""
    define_gin_flags()
    flags.DEFINE_string(
        "workdir", None, "Folder of the run: checkpoints, metrics and reports; may be gs://.", required=True
    )


def refuse_unused(given: str, others: Iterable[str]) -> None:
    """Refuses flags that do nothing together with the flag `given`.

    Raises:
      ConfigError: one of `others` is on the command line.
    """
    for name in others:
        if flags.FLAGS[name].present:
            raise ConfigError(f"--{name} does nothing with --{given}; leave it out")


def millions(flag: str) -> int:
    """The bytes or pixels that a flag gives in millions.

    Raises:
      ConfigError: it is no positive number.
    """
    value = flags.FLAGS[flag].value
    if not 0 < value * 1_000_000 < math.inf:
        raise ConfigError(f"--{flag} must be a positive number, got {value}")
    return math.ceil(value * 1_000_000)


class _Console(logging.Handler):
    """Plain lines on stderr, above a progress bar if there is one."""

    def emit(self, record: logging.LogRecord) -> None:
        tqdm.write(record.getMessage(), file=sys.stderr)


def run(main: Callable[..., int | None], positional: bool = False) -> None:
    """Parses the flags and runs `main`; a foreseeable error becomes one message on stderr and exit status 2.

    A flag that is unknown, missing or of the wrong kind is such an error, and so is an argument that is no flag, unless
    `positional`: then `main` is called with them.
    """

    def guarded(arguments: Sequence[str]) -> int | None:
        # Ours is worth reading. What Orbax and Grain log through absl is not: their errors reach us as exceptions.
        absl.logging.set_verbosity(absl.logging.FATAL)
        ours = logging.getLogger("flamingo_jax")
        ours.setLevel(logging.INFO)
        ours.propagate = False
        ours.addHandler(_Console())
        _quiet_absent_tpu()
        if len(arguments) > 1 and not positional:
            print(f"error: unexpected argument {arguments[1]!r}; flags are written --name=value", file=sys.stderr)
            return 2
        try:
            return main(*arguments[1:]) if positional else main()
        except BaseException as error:
            if _explained(error) is None:
                raise
            return report(error)

    app.run(guarded, flags_parser=_parse)


def _parse(arguments: Sequence[str]) -> list[str]:
    """Parses the flags and returns what is left. absl's own parser ends with 1 for a mistake, which is a bug's here."""
    try:
        return flags.FLAGS(arguments)
    except flags.Error as error:
        # Several flags may be wrong, each with a line of its own.
        print(f"error: {' '.join(str(error).split())} (--helpfull lists all flags)", file=sys.stderr)
        sys.exit(2)


def _quiet_absent_tpu() -> None:
    """On a machine without a TPU libtpu, where it is installed, warns at length that nobody tells it which TPU it has.

    JAX sets the first variable when it finds no chip; the others are the answers that libtpu asks for.
    """
    if os.environ.get("TPU_SKIP_MDS_QUERY") == "1":
        for name, value in compiler_environment().items():
            if name.startswith("TPU_"):
                os.environ.setdefault(name, value)


def leave(status: int) -> NoReturn:
    """Ends the process though a thread still waits for the device: Python would wait for it, or end under it."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def report(error: BaseException) -> int:
    """Prints one message for a foreseeable error, a traceback for any other; returns the exit status."""
    explained = _explained(error)
    if explained is None:
        traceback.print_exception(error)
        return 1
    status, message = explained
    print(message, file=sys.stderr)
    return status


def _explained(error: BaseException) -> tuple[int, str] | None:
    """Exit status and message of a foreseeable error."""
    if isinstance(error, KeyboardInterrupt):
        return 130, "interrupted"
    if isinstance(error, USER_ERRORS):
        return 2, f"error: {error}"
    if isinstance(error, ImportError) and _lacks_storage(error):
        return 2, f"error: {error} (gs:// paths need: pip install 'flamingo-jax[gcs]')"
    return None


def _lacks_storage(error: ImportError) -> bool:
    """Whether a path's scheme needs a package that is not installed: the storage library itself raised this.

    Any other import that fails is a bug, ours or of an installation.
    """
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    raised_in = trace.tb_frame.f_globals.get("__name__", "") if trace is not None else ""
    return raised_in.partition(".")[0] in _STORAGE_PACKAGES
