"""What went wrong in a pipeline, in one line: Beam wraps the errors of its workers in tracebacks of its own."""

import contextlib
import logging
import re
import signal
import threading
from collections.abc import Iterator

from data_pipelines.output import BuildError

_STEP = re.compile(r" \[while running '[^']*'\]")
# The last line of a traceback that a worker sent as text: "builtins.OSError: no space left".
_RAISED = re.compile(
    r"^(?:[\w.]+\.)?(\w*(?:BuildError|OSError|IOError|FileNotFoundError|PermissionError)): (.*)$", re.MULTILINE
)
_WORKER_THREAD = "run_worker"  # Beam's name of a thread that waits for a worker process
_ALARM = signal.SIGUSR2
_AGAIN = 2.0  # seconds
_LOGGERS = ("apache_beam", "grpc")


class WorkerDiedError(OSError):
    """A worker process ended before its work did."""

    def __str__(self) -> str:
        return "a worker process died; is there enough memory for --direct_num_workers of them?"


@contextlib.contextmanager
def in_short() -> Iterator[None]:
    """Raises what is wrong with the input, or what disk and network refused, in one line; our faults keep tracebacks.

    Beam's own log of what it raises anyway is kept silent. A worker process that dies ends the pipeline, for whose
    work Beam would wait for ever.
    """
    levels = {logger: logger.level for logger in map(logging.getLogger, _LOGGERS)}
    for logger in levels:
        logger.setLevel(logging.CRITICAL + 1)
    left = threading.Event()
    hook = threading.excepthook
    main = threading.main_thread()
    handler = signal.signal(_ALARM, _raise_worker_died) if threading.current_thread() is main else None

    def on_thread_error(arguments) -> None:
        if handler is None or arguments.thread is None or not arguments.thread.name.startswith(_WORKER_THREAD):
            hook(arguments)
        else:
            threading.Thread(target=wake, daemon=True).start()

    def wake() -> None:
        while not left.is_set():  # Beam also waits for the worker while it cleans up
            signal.pthread_kill(main.ident, _ALARM)
            left.wait(_AGAIN)

    threading.excepthook = on_thread_error
    try:
        yield
    except WorkerDiedError:
        raise
    except (BuildError, OSError) as error:
        kind = BuildError if isinstance(error, BuildError) else OSError
        raise kind(_STEP.sub("", str(error))) from None
    except RuntimeError as error:
        if str(error).startswith("KeyboardInterrupt"):  # Ctrl-C within a stage
            raise KeyboardInterrupt from None
        if "Channel closed prematurely" in str(error):
            raise WorkerDiedError from None
        if found := _RAISED.findall(str(error)):
            kind, message = found[-1]
            raise (BuildError if kind == "BuildError" else OSError)(_STEP.sub("", message)) from None
        raise
    finally:
        left.set()
        threading.excepthook = hook
        if handler is not None:
            signal.signal(_ALARM, handler)
        for logger, level in levels.items():
            logger.setLevel(level)


def _raise_worker_died(*_) -> None:
    raise WorkerDiedError
