"""When the devices were done with an update, without the host waiting for them."""

import contextlib
import queue
import threading
import time
from collections.abc import Callable
from typing import Any

import jax


class Completion:
    """One array that devices are computing, and when it was there."""

    def __init__(self, array: Any):
        self._array, self._there, self._at = array, threading.Event(), 0.0

    def wait(self) -> float:
        """Waits for the array; returns when it was there, by the watch's clock.

        Raises:
          Exception: what computing the array raised.
        """
        self._there.wait()
        jax.block_until_ready(self._array)  # raises what went wrong, in the caller's thread
        return self._at

    def settle(self, clock: Callable[[], float]) -> None:
        """Waits for the array and notes the time; the watch's thread does."""
        with contextlib.suppress(Exception):  # whoever waits is told
            jax.block_until_ready(self._array)
        self._at = clock()
        self._there.set()


class CompletionWatch:
    """Notes when arrays are there, in the order in which they are given; a thread of its own waits for each.

    The thread holds up nothing: it ends with the process, also while it waits for devices that hang.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        self._clock = clock
        self._waiting: queue.SimpleQueue[Completion | None] = queue.SimpleQueue()
        threading.Thread(target=self._run, name="completion", daemon=True).start()

    def watch(self, array: Any) -> Completion:
        """Begins to wait for `array`."""
        completion = Completion(array)
        self._waiting.put(completion)
        return completion

    def close(self) -> None:
        """Ends the thread once everything given is there; does not wait for it."""
        self._waiting.put(None)

    def _run(self) -> None:
        while (completion := self._waiting.get()) is not None:
            completion.settle(self._clock)
