"""Ctrl-C and SIGTERM end a run between two steps, so that it can save first; or at once, where nothing can be lost.

SIGUSR1 asks for a checkpoint.
"""

import contextlib
import signal
import threading
from collections.abc import Iterator


class Interrupted(KeyboardInterrupt):
    """The run was asked to stop while it did nothing that a checkpoint would have to keep."""


class Interrupt:
    """A context in which signals only set a flag. A second SIGINT stops at once, as usual.

    Attributes:
      requested: whether the run is to stop.
      save: whether it is to save; who does so clears it.
    """

    def __init__(self):
        self.requested = self.save = False
        self._at_once = False
        self._before: dict[int, object] = {}

    def __enter__(self) -> "Interrupt":
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._request)
            self._before[signal.SIGUSR1] = signal.signal(signal.SIGUSR1, self._ask)
        return self

    def __exit__(self, *exception) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextlib.contextmanager
    def at_once(self) -> Iterator[None]:
        """A context in which a signal, or one that came before, raises Interrupted."""
        self._at_once = True
        try:
            if self.requested:
                raise Interrupted
            yield
        finally:
            self._at_once = False

    def _request(self, number, frame) -> None:
        again, self.requested = self.requested, True
        if self._at_once:
            raise Interrupted
        if again and number == signal.SIGINT:
            raise KeyboardInterrupt

    def _ask(self, number, frame) -> None:
        self.save = True
