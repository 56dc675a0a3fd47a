"""The bytes of all requests that are held at a time."""

import contextlib
import threading
from collections.abc import Iterator

from flamingo_jax.serving.openai.errors import ApiError


class Memory:
    """Counts bytes, up to a number of them; any thread may."""

    def __init__(self, most: int):
        """
        Args:
          most: bytes of all shares together.
        """
        self._most, self._held, self._lock = most, 0, threading.Lock()

    @property
    def held(self) -> int:
        """Bytes that are held."""
        return self._held

    @contextlib.contextmanager
    def share(self) -> Iterator["Share"]:
        """What one request holds; nothing any more after the context."""
        share = Share(self)
        try:
            yield share
        finally:
            share.close()

    def change(self, more: int) -> None:
        """Counts so many bytes more, or fewer.

        Raises:
          ApiError: 429, they are too many.
        """
        with self._lock:
            if more > 0 and self._held + more > self._most:
                reason = "the server holds as many requests as it has memory for: try again later"
                raise ApiError(429, reason, kind="rate_limit_error", code="memory_full", retry_after=2)
            self._held += more


class Share:
    """The bytes that one request holds."""

    def __init__(self, memory: Memory):
        self._memory, self._size, self._closed, self._lock = memory, 0, False, threading.Lock()

    def take(self, size: int) -> None:
        """Holds so many bytes more.

        Raises:
          ApiError: 429, all requests together hold too many, or this one has ended.
        """
        with self._lock:
            if self._closed:
                raise ApiError(429, "the request has ended", kind="rate_limit_error", code="memory_full")
            self._memory.change(size)
            self._size += size

    def keep(self, size: int) -> None:
        """Holds so many bytes at most, of those that were taken."""
        with self._lock:
            self._shrink(size)

    def close(self) -> None:
        """Holds nothing any more, for good: a thread that still takes something is refused."""
        with self._lock:
            self._closed = True
            self._shrink(0)

    def _shrink(self, size: int) -> None:
        size = min(size, self._size)
        self._memory.change(size - self._size)
        self._size = size
