"""A thread between an iterator and its reader, so that an interrupt of the reader cannot hurt the iterator."""

import logging
import queue
import signal
import threading
import weakref
from collections.abc import Callable, Generator
from typing import Any, Generic, TypeVar

T = TypeVar("T")

_logger = logging.getLogger(__name__)

_POLL = 0.2  # seconds; how soon a thread that nobody reads from, and a reader, notice that they are to stop.
_PATIENCE = 10.0  # seconds for the read that is under way, at the end; storage may have gone away for good


class ReadAhead(Generic[T]):
    """Reads one item ahead in a thread of its own.

    Ctrl-C is an exception that is raised in the main thread at any instruction, also between two steps of a queue's
    bookkeeping, and then whoever waits at that queue waits for ever: an iterator that shares queues with threads and
    processes must not be read there. Processes that `items` starts do not get the signal at all.
    Garbage collection and the end of the program close it too.
    """

    def __init__(self, items: Generator[T, None, None]):
        """
        Args:
          items: read and closed in the thread only.
        """
        self._ready: queue.Queue[tuple[T | None, BaseException | None]] = queue.Queue(maxsize=1)
        self._waited: tuple[T | None, BaseException | None] | None = None
        stop = threading.Event()
        thread = threading.Thread(
            target=_read, args=(items, self._ready, stop), daemon=True, name="flamingo-read-ahead"
        )
        self._finish = weakref.finalize(self, _finish, stop, thread)
        thread.start()

    def wait(self, give_up: Callable[[], bool]) -> bool:
        """Waits for the next item, and is True when it is there; False if `give_up` says so before."""
        while self._waited is None and self._finish.alive:
            try:
                self._waited = self._ready.get(timeout=_POLL)
            except queue.Empty:
                if give_up():
                    return False
        return True

    def __next__(self) -> T:
        """The next item. What `items` raises is raised here."""
        if not self._finish.alive:
            raise StopIteration
        self.wait(lambda: False)
        (item, error), self._waited = self._waited, None
        if error is not None:
            self.close()
            raise error
        return item

    def close(self) -> None:
        """Closes `items` after the read that is under way, and waits some seconds for that. May be called again."""
        self._finish()


def _read(items: Generator[Any, None, None], ready: queue.Queue, stop: threading.Event) -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # Threads and processes started from here inherit it.
    try:
        while not stop.is_set():
            try:
                entry = next(items), None
            except BaseException as error:
                entry = None, error
            while not stop.is_set():
                try:
                    ready.put(entry, timeout=_POLL)
                    break
                except queue.Full:
                    continue
            if entry[1] is not None:
                return
            del entry
    finally:
        items.close()


def _finish(stop: threading.Event, thread: threading.Thread) -> None:
    stop.set()
    thread.join(_PATIENCE)
    if thread.is_alive():
        _logger.warning("a read of data has not ended in %.0f s; it is left to end with the program", _PATIENCE)
