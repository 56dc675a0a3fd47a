"""A limit to what many threads hold at once."""

import contextlib
import threading
from collections.abc import Iterator


class Budget:
    """So many bytes may be held at a time; what is larger by itself is held alone."""

    def __init__(self, nbytes: int):
        self._most, self._held = nbytes, 0
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def hold(self, nbytes: int) -> Iterator[None]:
        """Waits until `nbytes` more fit, and counts them for as long as the context lasts."""
        with self._changed:
            self._changed.wait_for(lambda: not self._held or self._held + nbytes <= self._most)
            self._held += nbytes
        try:
            yield
        finally:
            with self._changed:
                self._held -= nbytes
                self._changed.notify_all()
