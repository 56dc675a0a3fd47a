"""One queue for the device: whoever wants an answer submits a request, one thread answers what waits in batches."""

import collections
import math
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from flamingo_jax.config import ConfigError
from flamingo_jax.evaluation.confidence.rule import AbstentionRule
from flamingo_jax.inference.batches import Prompt
from flamingo_jax.inference.session import Session
from flamingo_jax.serving.engine.abstention import unusable
from flamingo_jax.serving.engine.batch import Answering
from flamingo_jax.serving.engine.config import DEFAULT, EngineConfig
from flamingo_jax.serving.engine.events import CLOSING, TIMEOUT, Done, Failed
from flamingo_jax.serving.engine.request import Busy, Closing, Refused, Request
from flamingo_jax.serving.engine.stats import Stats
from flamingo_jax.serving.engine.ticket import Ticket
from flamingo_jax.serving.engine.warming import Warming

_TICK = 0.1  # seconds between two looks for requests that took too long
_FIRST_GUESS = 1.0  # seconds of a batch, before any was timed
_JOIN = 5.0  # seconds that a program may need to end by itself
_Made = TypeVar("_Made")


class Engine:
    """Answers requests from all threads on one of its own, as many together as there are, up to a number of rows.

    The oldest request that waits is always in the next batch, with others of its kind (`Request.kind`). A batch ends
    with its longest answer; what is cancelled or late in it is not continued.

    Attributes:
      rule: of abstention; None: requests that ask for it are refused.
      stats: counters.
    """

    def __init__(
        self,
        session: Session,
        config: EngineConfig = DEFAULT,
        rule: AbstentionRule | None = None,
        warming: Warming | None = None,
    ):
        """
        Args:
          warming: what is answered before any request, so that its programs are compiled; None: nothing.

        Raises:
          ConfigError: `config.rows` is more than the session takes.
        """
        self._rows = config.rows or session.rows_at_once
        if self._rows > session.rows_at_once:
            raise ConfigError(f"EngineConfig.rows is {config.rows}, and the session takes {session.rows_at_once} rows")
        self._session, self._config, self.rule, self.stats = session, config, rule, Stats()
        self._answering = Answering(session, rule)
        self._warming = warming or Warming()
        self._waiting: collections.deque[Ticket] = collections.deque()
        self._running: tuple[Ticket, ...] = ()
        self._errands: collections.deque[tuple[Callable[[], object], Future]] = collections.deque()
        self._batch_seconds = _FIRST_GUESS
        self._changed = threading.Condition(threading.RLock())
        self._closing, self._closed = False, threading.Event()
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self._thread.start()
        threading.Thread(target=self._watch, name="engine-clock", daemon=True).start()

    def submit(self, request: Request) -> Ticket:
        """Puts a request into the queue.

        Raises:
          PromptError: the model cannot be asked this.
          Refused: abstention is asked for, and there is no rule that can judge it.
          Busy: the queue is full; Closing: the engine is being closed.
        """
        if request.abstain and (reason := unusable(self.rule)):
            raise Refused(reason)
        tokens = self._session.check(request.prompt, request.sampling.max_new_tokens)
        ticket = Ticket(request, tokens, self._ended)
        with self._changed:
            if self._closing:
                raise _closing()
            if len(self._waiting) >= self._config.queue:
                self.stats.count("requests", "refused")
                raise Busy(f"{len(self._waiting)} requests wait already: try again later", self._time_to_wait())
            self._waiting.append(ticket)
            self._changed.notify_all()
        return ticket

    def run(self, errand: Callable[[], _Made]) -> _Made:
        """Does something else on the engine's thread, before its next batch, and returns or raises what comes of it.

        All that needs the device goes this way, so that it does one thing at a time.

        Raises:
          Closing: the engine is being closed.
        """
        made: Future[_Made] = Future()
        with self._changed:
            if self._closing:
                raise _closing()
            self._errands.append((errand, made))
            self._changed.notify_all()
        return made.result()

    def check(self, prompt: Prompt, more: int = 0) -> int:
        """The number of tokens of a prompt, see `Session.check`."""
        return self._session.check(prompt, more)

    @property
    def depth(self) -> int:
        """Requests that wait."""
        return len(self._waiting)

    @property
    def running(self) -> int:
        """Requests that are being answered and still wanted."""
        return sum(not ticket.ended for ticket in self._running)

    @property
    def not_ready(self) -> str:
        """Why requests would be answered late, or not at all; empty: they are answered."""
        if self._closing:
            return "the server is shutting down"
        return self._warming.state

    def close(self, within: float = 0.0) -> bool:
        """Takes nothing more, finishes what is left as far as it can `within` so many seconds, and fails the rest.

        What `run` was given is finished too, but has no more than the seconds in which the thread may end.

        Another thread may call it again: whichever ends first ends the wait of both.

        Returns:
          Whether the thread has ended. It has not where it waits for a program that cannot be interrupted.
        """
        with self._changed:
            self._closing = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._closed.is_set() or not (self._waiting or self._running), within)
            self._closed.set()
            self._changed.notify_all()
            left = [*self._waiting, *self._running]
        for ticket in left:
            ticket.put(Failed("the server is shutting down", CLOSING))
        self._thread.join(_JOIN)
        return not self._thread.is_alive()

    def _run(self) -> None:
        self._warming.run(self._session, self._rows, self._closed)
        while self._wait():
            while self._errands:
                _do(*self._errands.popleft())
            if not (tickets := self._next()):
                continue
            begun = time.monotonic()
            for ticket in tickets:
                ticket.started = begun
                self.stats.wait.add(begun - ticket.submitted)
            self.stats.rows.add(len(tickets))
            self._answering(tickets)
            with self._changed:
                self._running = ()
                self._batch_seconds += 0.3 * (time.monotonic() - begun - self._batch_seconds)
                self._changed.notify_all()

    def _wait(self) -> bool:
        """Until there is something to do; False: the engine is closed, and nothing is left."""
        with self._changed:
            self._changed.wait_for(lambda: self._errands or self._waiting or self._closing)
            return bool(self._errands or self._waiting)

    def _next(self) -> tuple[Ticket, ...]:
        """The requests of the next batch."""
        with self._changed:
            kinds = [ticket.request.kind for ticket in self._waiting]
            places = [place for place, kind in enumerate(kinds) if kind == kinds[0]][: self._rows]
            self._running = tuple(self._waiting[place] for place in places)
            for ticket in self._running:
                self._waiting.remove(ticket)
            return self._running

    def _ended(self, ticket: Ticket, event: Done | Failed) -> None:
        with self._changed:
            if ticket in self._waiting:
                self._waiting.remove(ticket)
                self._changed.notify_all()
        if isinstance(event, Failed):
            self.stats.count("requests", event.kind)
            return
        if ticket.first is not None:
            self.stats.first.add(ticket.first - ticket.submitted)
        self.stats.count("requests", "abstained" if event.abstained else event.finish)
        self.stats.count("tokens", "prompt", event.prompt_tokens)
        self.stats.count("tokens", "completion", event.completion_tokens)
        self.stats.total.add(time.monotonic() - ticket.submitted)

    def _watch(self) -> None:
        """Fails requests that take too long, also while the device is busy."""
        limits = self._config
        while not self._closed.wait(_TICK):
            now = time.monotonic()
            with self._changed:
                tickets = [*self._waiting, *self._running]
            for ticket in tickets:
                if ticket.started is None and now - ticket.submitted > limits.wait_s:
                    ticket.put(Failed(f"waited {limits.wait_s:g} seconds for its turn: try again later", TIMEOUT))
                elif ticket.started is not None and now - ticket.started > limits.answer_s:
                    ticket.put(Failed(f"the answer took more than {limits.answer_s:g} seconds", TIMEOUT))

    def _time_to_wait(self) -> float:
        """Seconds until the queue should be empty."""
        return math.ceil(len(self._waiting) / self._rows) * self._batch_seconds


def _closing() -> Closing:
    return Closing("the server is shutting down", retry_after=10.0)


def _do(errand: Callable[[], object], made: Future) -> None:
    try:
        made.set_result(errand())
    except BaseException as error:
        made.set_exception(error)
