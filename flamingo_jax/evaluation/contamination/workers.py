"""Work in other processes, in order, with little of it under way at a time."""

import collections
import concurrent.futures
import multiprocessing
import signal
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from flamingo_jax.config import ConfigError

A = TypeVar("A")
R = TypeVar("R")

_AHEAD = 4  # tasks for each process: enough to keep it busy, and no more in memory


class Workers:
    """Processes that call functions; with 1 process, this one does."""

    def __init__(self, processes: int, prepare: Callable[..., None] | None = None, *arguments: object):
        """
        Args:
          processes: how many.
          prepare: called once in each of them, with `arguments`.
        """
        self._processes, self._executor = processes, None
        if processes > 1:
            # Spawned: a fork of a process with threads, as TFDS and JAX have, may hang.
            context = multiprocessing.get_context("spawn")
            self._executor = concurrent.futures.ProcessPoolExecutor(
                processes, context, initializer=_prepare, initargs=(prepare, arguments)
            )
        elif prepare is not None:
            prepare(*arguments)

    def __enter__(self) -> "Workers":
        return self

    def __exit__(self, *raised: object) -> None:
        if self._executor is not None:
            self._executor.shutdown(cancel_futures=True)

    def map(self, function: Callable[[A], R], tasks: Iterable[A]) -> Iterator[R]:
        """The results in the order of the tasks, which are taken as they are needed.

        Raises:
          ConfigError: a process was killed. What `function` raises is raised here.
        """
        if self._executor is None:
            yield from map(function, tasks)
            return
        pending: collections.deque[concurrent.futures.Future[R]] = collections.deque()
        try:
            for task in tasks:
                pending.append(self._executor.submit(function, task))
                if len(pending) >= _AHEAD * self._processes:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        except BrokenProcessPool as error:
            raise ConfigError(
                f"one of {self._processes} worker processes was killed: if the machine lacks memory, pass fewer "
                "--processes"
            ) from error


def _prepare(prepare: Callable[..., None] | None, arguments: tuple) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the main process's to answer
    if prepare is not None:
        prepare(*arguments)
