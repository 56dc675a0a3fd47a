"""How each address ends: told to the store, to the caller, and to the counts."""

import asyncio
import collections
from collections.abc import Callable
from concurrent.futures import Executor

from data_pipelines.fetching import outcomes
from data_pipelines.fetching.exchange import Body
from data_pipelines.fetching.hosts import Job
from data_pipelines.fetching.outcomes import Failure, Result
from data_pipelines.fetching.store import ImageStore
from data_pipelines.pipeline.sketch import Reference


class Ledger:
    """The addresses that are on their way, and how many have ended in which way."""

    def __init__(self, store: ImageStore, threads: Executor, on_result: Callable[[Result], None] | None):
        """
        Args:
          store: where bytes and lasting refusals go.
          threads: where they are written.
          on_result: called for each address that ends.
        """
        self.counts: collections.Counter[str] = collections.Counter()
        self._store = store
        self._threads = threads
        self._on_result = on_result
        self._on_the_way: dict[str, int] = {}  # how often an address was given again before it ended

    def begins(self, given: str) -> bool:
        """Notes that an address is on its way; False if it was already, and will then end as often as it was given."""
        if given in self._on_the_way:
            self._on_the_way[given] += 1
            return False
        self._on_the_way[given] = 0
        return True

    def known(self, given: str, what: Reference | str) -> None:
        """An address ends as an earlier run has left it in the store."""
        if isinstance(what, str):
            self._tell(Result(given, what))
        else:
            self._tell(Result(given, outcomes.ALREADY_THERE, what))

    async def refused(self, given: str, rule: str) -> None:
        """An address ends for good before it is on its way."""
        await self._write(self._store.refuse, given, rule)
        self._tell(Result(given, rule))

    def passed_over(self, given: str) -> None:
        """An address ends before it is on its way, because its host is given up."""
        self._tell(Result(given, outcomes.HOST_GIVEN_UP))

    async def failed(self, job: Job, failure: Failure) -> None:
        """A job ends without bytes."""
        if failure.lasting:
            await self._write(self._store.refuse, job.given, failure.rule)
        self._end(Result(job.given, failure.rule))

    async def fetched(self, job: Job, body: Body) -> None:
        """A job ends well."""

        def put() -> Reference:
            return self._store.put(job.given, body.content, final_url=str(job.url), status=body.status, mime=body.mime)

        self._end(Result(job.given, outcomes.FETCHED, await self._write(put), len(body.content)))

    def _end(self, result: Result) -> None:
        """Tells of an address once for each time that it was given."""
        again = self._on_the_way.pop(result.url)
        self._tell(result)
        outcome = outcomes.ALREADY_THERE if result.outcome == outcomes.FETCHED else result.outcome
        for _ in range(again):
            self._tell(Result(result.url, outcome, result.reference))

    def _tell(self, result: Result) -> None:
        self.counts[result.outcome] += 1
        if self._on_result is not None:
            self._on_result(result)

    async def _write(self, write: Callable, *arguments: str):
        return await asyncio.get_running_loop().run_in_executor(self._threads, write, *arguments)
