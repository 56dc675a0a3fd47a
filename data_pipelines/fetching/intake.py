"""Takes addresses in, as fast as there is room for them, and leaves out what the store knows."""

import asyncio
import collections
import itertools
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor

from data_pipelines.fetching import addresses, outcomes, urls
from data_pipelines.fetching.config import FetchConfig
from data_pipelines.fetching.hosts import Hosts, Job
from data_pipelines.fetching.ledger import Ledger
from data_pipelines.fetching.overflow import Overflow
from data_pipelines.fetching.store import ImageStore
from data_pipelines.pipeline.sketch import Reference

_TAKEN_AT_ONCE = 256  # addresses
_LOOKED_UP_BY_A_THREAD = 16  # of them; a bucket answers slowly, but many at once


class Intake:
    """The way of addresses into the hosts' queues."""

    def __init__(self, store: ImageStore, config: FetchConfig, hosts: Hosts, ledger: Ledger, threads: Executor):
        """
        Args:
          store: what it knows is not asked for.
          config: the limits.
          hosts: the queues.
          ledger: is told of what ends here.
          threads: where the addresses are read and the store is looked into.
        """
        self._store = store
        self._config = config
        self._hosts = hosts
        self._ledger = ledger
        self._threads = threads
        self._gate = addresses.Gate(config.private_networks_allowed)
        self._overflow = Overflow()
        self._fewer_wait = asyncio.Event()

    def job_taken(self) -> None:
        """Has to be called when fewer jobs wait than before."""
        self._fewer_wait.set()

    async def run(self, given: Iterable[str], job_added: Callable[[], None]) -> None:
        """Takes all addresses in.

        A host with more addresses than may wait in memory keeps no other from being asked: its further ones go to a
        temporary file, and come back after all others, as its queue empties.

        Args:
          given: the addresses.
          job_added: called after each one that has to be asked for.

        Raises:
          OSError: the store cannot be read or written.
        """
        await self._take(given, job_added)
        while self._overflow:
            await self._until_waiting(self._hosts.waiting // 2)
            await self._take(self._overflow.drain(), job_added, again=True)

    async def _take(self, given: Iterable[str], job_added: Callable[[], None], *, again: bool = False) -> None:
        source = iter(given)
        loop = asyncio.get_running_loop()
        while batch := await loop.run_in_executor(self._threads, _some, source):
            if again:  # most still do not fit; only for the others the store is looked into once more
                batch = self._fitting(batch)
            parts = [batch[at : at + _LOOKED_UP_BY_A_THREAD] for at in range(0, len(batch), _LOOKED_UP_BY_A_THREAD)]
            looks = (loop.run_in_executor(self._threads, self._look_up, part) for part in parts)
            known = itertools.chain.from_iterable(await asyncio.gather(*looks))
            for url, what in zip(batch, known, strict=True):
                if what is not None:
                    self._ledger.known(url, what)
                elif await self._queue(url):
                    job_added()

    def _look_up(self, batch: list[str]) -> list[Reference | str | None]:
        return [self._store.lookup(url) for url in batch]

    def _fitting(self, batch: list[str]) -> list[str]:
        """Those addresses whose host has room for them; the others go back to the disk."""
        coming: collections.Counter[str] = collections.Counter()
        fitting = []
        for given in batch:
            host = self._hosts.of(urls.parse(given))
            if host.given_up or self._hosts.has_room(host, coming[host.name]):
                coming[host.name] += 1
                fitting.append(given)
            else:
                self._overflow.add(given)
        return fitting

    async def _queue(self, given: str) -> bool:
        """Lets an unknown address wait for its host; False if it has ended, is on its way, or does not fit."""
        try:
            url = urls.parse(given)
        except urls.BadUrl:
            await self._ledger.refused(given, outcomes.BAD_URL)
            return False
        address = addresses.literal(url.raw_host)
        if address is not None and not self._gate.passes(address):
            await self._ledger.refused(given, outcomes.PRIVATE_ADDRESS)
            return False
        await self._until_waiting(self._config.waiting - 1)
        host = self._hosts.of(url)
        if host.given_up:
            self._ledger.passed_over(given)
        elif not self._hosts.has_room(host):
            self._overflow.add(given)
        elif self._ledger.begins(given):
            self._hosts.add(Job(given, url))
            return True
        return False

    async def _until_waiting(self, most: int) -> None:
        while self._hosts.waiting > most:
            self._fewer_wait.clear()
            await self._fewer_wait.wait()


def _some(source: Iterator[str]) -> list[str]:
    return list(itertools.islice(source, _TAKEN_AT_ONCE))
