"""Fetches addresses by the million: bounded in memory, polite to each host, and able to go on where a run has ended."""

import asyncio
import collections
import contextlib
import functools
from collections.abc import Awaitable, Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

import yarl
from aiohttp.abc import AbstractResolver

from data_pipelines.fetching import addresses, outcomes, robots
from data_pipelines.fetching.config import FetchConfig
from data_pipelines.fetching.exchange import Body, Client
from data_pipelines.fetching.hosts import Host, Hosts, Job
from data_pipelines.fetching.intake import Intake
from data_pipelines.fetching.ledger import Ledger
from data_pipelines.fetching.outcomes import Failure, Result
from data_pipelines.fetching.store import ImageStore

_STORE_THREADS = 16
_NAME_THREADS = 64  # a dead name keeps its resolver busy for many seconds


def fetch(
    given: Iterable[str], store: ImageStore, config: FetchConfig, on_result: Callable[[Result], None] | None = None
) -> collections.Counter[str]:
    """`fetch_all` for callers without an event loop."""

    async def run() -> collections.Counter[str]:
        # aiohttp resolves names there; asyncio ends it.
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(_NAME_THREADS))
        return await fetch_all(given, store, config, on_result)

    return asyncio.run(run())


async def fetch_all(
    given: Iterable[str],
    store: ImageStore,
    config: FetchConfig,
    on_result: Callable[[Result], None] | None = None,
    *,
    resolver: AbstractResolver | None = None,
) -> collections.Counter[str]:
    """Fetches what the store does not have.

    What an earlier run has fetched or refused for good is not asked for again; what failed in a way that may pass is.
    A run may be killed at any moment: the store then holds what was done.

    Args:
      given: absolute http(s) addresses; may be a generator of any length. Another thread reads it.
      store: where the bytes go; its kind says whether they have to be images or pages.
      config: the limits.
      on_result: called in the event loop, once for each address given, in the order in which they end.
      resolver: from names to addresses; the system's if None.

    Returns:
      How many addresses ended in which way: "fetched", "already_there", or a rule of `outcomes`.

    Raises:
      ValueError: the configuration names no contact.
      OSError: the store cannot be read or written, or this process may not open so many sockets.
    """
    with _threads() as threads:
        store.sweep()
        async with Client(config, store.kind, resolver) as client:
            run = _Run(store, config, client, threads, on_result)
            try:
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(run.take_in(given))
                    tasks.create_task(run.work_off(tasks))
            except BaseExceptionGroup as group:
                raise _first(group) from None
    return run.ledger.counts


class _Run:
    """One call of `fetch_all`."""

    def __init__(
        self,
        store: ImageStore,
        config: FetchConfig,
        client: Client,
        threads: ThreadPoolExecutor,
        on_result: Callable[[Result], None] | None,
    ):
        self.ledger = Ledger(store, threads, on_result)
        self._config = config
        self._client = client
        self._threads = threads
        self._gate = addresses.Gate(config.private_networks_allowed)
        self._hosts = Hosts(config)
        self._intake = Intake(store, config, self._hosts, self.ledger, threads)
        self._active = 0
        self._all_taken_in = False
        self._news = asyncio.Event()  # a job was added or has ended: another may be due

    async def take_in(self, given: Iterable[str]) -> None:
        """Fills the queues."""
        await self._intake.run(given, self._news.set)
        self._all_taken_in = True
        self._news.set()

    async def work_off(self, tasks: asyncio.TaskGroup) -> None:
        """Starts jobs as they become due and as connections become free, until all are done."""
        while not self._all_taken_in or self._hosts.waiting or self._active:
            self._news.clear()
            taken = self._hosts.take() if self._active < self._config.connections else None
            if isinstance(taken, tuple):
                self._active += 1
                self._intake.job_taken()
                tasks.create_task(self._carry_out(taken[0], self._next_step(*taken)))
                continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(taken):
                    await self._news.wait()

    async def _carry_out(self, host: Host, step: Callable[[], Awaitable[None]]) -> None:
        try:
            await step()
        finally:
            self._active -= 1
            self._hosts.release(host)
            self._news.set()

    def _next_step(self, host: Host, job: Job) -> Callable[[], Awaitable[None]]:
        """What to do for a job now: ask for robots.txt, end it as that says, or ask for its address."""
        if self._config.obey_robots:
            rules = host.rules.get(job.url.origin())
            if rules is None or not rules.fresh:
                host.asks_rules = True
                self._hosts.starts(host)
                return functools.partial(self._ask_for_rules, host, job)
            if refusal := rules.refusal(job.url):
                self._hosts.passes(host)
                return functools.partial(self.ledger.failed, job, refusal)
        self._hosts.starts(host)
        return functools.partial(self._ask, host, job)

    async def _ask_for_rules(self, host: Host, job: Job) -> None:
        try:
            rules = await robots.load(self._client, job.url, self._config, self._threads)
        except Failure as failure:
            await self._failed(host, job, failure)
            return
        finally:
            host.asks_rules = False
        host.rules[job.url.origin()] = rules
        asked_for = max(rules.delay for rules in host.rules.values())
        host.delay = max(self._config.delay, min(asked_for, self._config.max_crawl_delay))
        self._hosts.pause(host, host.delay)
        await self._wait_again(job)

    async def _ask(self, host: Host, job: Job) -> None:
        try:
            answer = await self._client.get(job.url)
        except Failure as failure:
            await self._failed(host, job, failure)
            return
        host.failures = 0
        if isinstance(answer, Body):
            await self.ledger.fetched(job, answer)
        else:
            await self._moved(job, answer)

    async def _moved(self, job: Job, target: yarl.URL) -> None:
        """Sends a job to where a redirect leads: another request, at the pace of its host."""
        job.hops += 1
        address = addresses.literal(target.raw_host)
        if job.hops > self._config.max_redirects:
            await self.ledger.failed(job, Failure(outcomes.REDIRECTS, lasting=True))
        elif address is not None and not self._gate.passes(address):
            await self.ledger.failed(job, Failure(outcomes.PRIVATE_ADDRESS, lasting=True))
        else:
            job.url = target
            await self._wait_again(job)

    async def _failed(self, host: Host, job: Job, failure: Failure) -> None:
        """Ends a job, or lets it wait for another try; gives its host up if that fails too often."""
        if not failure.retry:
            host.failures = 0
            await self.ledger.failed(job, failure)
            return
        host.failures += 1
        pause = failure.pause or 0.0
        self._hosts.pause(host, pause)
        if host.failures >= self._config.host_failures or pause > self._config.max_wait:
            for other in self._hosts.give_up(host):
                await self.ledger.failed(other, Failure(outcomes.HOST_GIVEN_UP))
            self._intake.job_taken()
        if host.given_up or job.attempts >= self._config.retries:
            await self.ledger.failed(job, failure)
            return
        backoff = min(self._config.backoff * 2**job.attempts, self._config.max_wait)
        job.attempts += 1
        await self._wait_again(job, max(backoff, pause))

    async def _wait_again(self, job: Job, seconds: float = 0.0) -> None:
        if self._hosts.of(job.url).given_up:
            await self.ledger.failed(job, Failure(outcomes.HOST_GIVEN_UP))
        else:
            self._hosts.add(job, first=True, wait=seconds)


@contextlib.contextmanager
def _threads() -> Iterator[ThreadPoolExecutor]:
    """Threads for the store; what they have begun to write, they finish."""
    threads = ThreadPoolExecutor(_STORE_THREADS)
    try:
        yield threads
    finally:
        threads.shutdown(cancel_futures=True)


def _first(error: BaseException) -> BaseException:
    """The first error of a group."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
