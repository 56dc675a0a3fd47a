"""The compiled step of each kind of batch, made before the first update."""

import atexit
import os
import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any

from flamingo_jax.training.design import Design
from flamingo_jax.training.interrupt import Interrupt, Interrupted

Program = Callable[..., tuple[Any, dict[str, Any]]]
_STOPPED = 130
_POLL_SECONDS = 0.2


def compile_steps(design: Design, interrupt: Interrupt) -> Mapping[tuple[str, ...], Program]:
    """The names in a batch -> the compiled step that takes it.

    The compiler runs in a thread of its own: it takes minutes for a large model and does not listen to signals, and a
    host that is about to be taken away gives seconds.

    Raises:
      Interrupted: the run was asked to stop. The compiler cannot be: the process must end soon, and will without
        waiting for it.
    """
    programs: dict[tuple[str, ...], Program] = {}
    failed: list[BaseException] = []
    done = threading.Event()

    def compile_all() -> None:
        try:
            for batch in design.batches.values():
                programs[tuple(batch)] = design.lower(batch).compile()
        except BaseException as error:
            failed.append(error)
        finally:
            done.set()

    thread = threading.Thread(target=compile_all, name="compile", daemon=True)
    try:
        with interrupt.at_once():
            thread.start()
            while not done.wait(_POLL_SECONDS):  # a signal may wake another thread than this one, which handles it
                pass
    except Interrupted:
        if not done.is_set():
            atexit.register(_end_at_once)
        raise
    if failed:
        raise failed[0]
    return programs


def _end_at_once() -> None:
    """Ends the process before the libraries that the compiler works with are unloaded under its feet."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(_STOPPED)
