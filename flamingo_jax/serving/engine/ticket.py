"""The way from the engine's thread to whoever waits for an answer, in any thread or event loop."""

import asyncio
import collections
import contextlib
import functools
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator

from flamingo_jax.serving.engine.events import CANCELLED, Delta, Done, Event, Failed
from flamingo_jax.serving.engine.request import Request


class Ticket:
    """One request's events, for one reader: `for event in ticket`, or `async for`.

    Attributes:
      request: as it was submitted.
      prompt_tokens: of its prompt.
      submitted: when, by the monotonic clock.
      started: when the model turned to it; None: it waits.
      first: when the first text came; None: none has.
    """

    def __init__(self, request: Request, prompt_tokens: int, ended: Callable[["Ticket", Done | Failed], None]):
        """
        Args:
          ended: is called once with the last event, in the thread that gives it.
        """
        self.request, self.prompt_tokens = request, prompt_tokens
        self.submitted: float = time.monotonic()
        self.started: float | None = None
        self.first: float | None = None
        self._tell_ended, self._ended = ended, False
        self._events: collections.deque[Event] = collections.deque()
        self._changed = threading.Condition()
        self._wake: Callable[[], object] | None = None

    @property
    def ended(self) -> bool:
        """Whether the last event was given."""
        return self._ended

    def put(self, event: Event) -> None:
        """Gives the reader an event; after the last one, nothing happens."""
        last = not isinstance(event, Delta)
        with self._changed:
            if self._ended:
                return
            self._ended = last
            if not last:
                self.first = self.first or time.monotonic()
                self._show(event)
        if last:
            self._tell_ended(self, event)  # first, so that who reads of the end finds it counted
            with self._changed:
                self._show(event)

    def _show(self, event: Event) -> None:
        self._events.append(event)
        self._changed.notify_all()
        if self._wake is not None:
            self._wake()

    def cancel(self) -> None:
        """Nobody wants the answer any more: its place is free. Does nothing after the last event."""
        self.put(Failed("the request was cancelled", CANCELLED))

    def __iter__(self) -> Iterator[Event]:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._events)
                event = self._events.popleft()
            yield event
            if not isinstance(event, Delta):
                return

    async def __aiter__(self) -> AsyncIterator[Event]:
        loop, news = asyncio.get_running_loop(), asyncio.Event()
        with self._changed:
            self._wake = functools.partial(_wake, loop, news)
        while True:
            news.clear()
            while self._events:
                event = self._events.popleft()
                yield event
                if not isinstance(event, Delta):
                    return
            await news.wait()


def _wake(loop: asyncio.AbstractEventLoop, news: asyncio.Event) -> None:
    with contextlib.suppress(RuntimeError):  # the loop is closed, and the reader gone
        loop.call_soon_threadsafe(news.set)
