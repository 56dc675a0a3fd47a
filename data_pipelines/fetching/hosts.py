"""Which address is asked for next: each host has its own queue and its own pace, so a slow one delays no other."""

import collections
import dataclasses
import heapq
import itertools
import time

import yarl

from data_pipelines.fetching.config import FetchConfig
from data_pipelines.fetching.robots import Rules

_REMEMBERED = 10_000  # hosts without work whose pace, failures and robots.txt are still known


@dataclasses.dataclass(slots=True)
class Job:
    """An address on its way: `given` as it came in, `url` where it leads by now."""

    given: str
    url: yarl.URL
    hops: int = 0
    attempts: int = 0


class Host:
    """A host's queue and pace. Times are those of `time.monotonic`."""

    def __init__(self, name: str, delay: float, now: float):
        self.name = name
        self.delay = delay  # seconds from one start to the next
        self.free_at = now  # when the next request may start
        self.active = 0
        self.failures = 0  # in a row
        self.given_up = False
        self.asks_rules = False  # until its robots.txt is there, nothing else is asked
        self.rules: dict[yarl.URL, Rules] = {}  # by origin
        self.ready: collections.deque[Job] = collections.deque()
        self.later: list[tuple[float, int, Job]] = []  # a heap: jobs that wait for another try
        self.ordered_at: float | None = None

    @property
    def waiting(self) -> int:
        """How many jobs wait."""
        return len(self.ready) + len(self.later)

    def due(self) -> float:
        """When the next job may start."""
        return self.free_at if self.ready else max(self.free_at, self.later[0][0])


def host_name(url: yarl.URL) -> str:
    """What tells a host: its name, whatever the scheme and the port."""
    return (url.raw_host or "").rstrip(".")


class Hosts:
    """All jobs that wait, by host. The host that has been due for longest comes first."""

    def __init__(self, config: FetchConfig):
        self.waiting = 0
        self._config = config
        self._hosts: dict[str, Host] = {}
        self._idle: collections.OrderedDict[str, None] = collections.OrderedDict()
        self._order: list[tuple[float, int, Host]] = []  # a heap; entries that no longer hold are passed over
        self._ties = itertools.count()

    def of(self, url: yarl.URL) -> Host:
        """The host of an address."""
        name = host_name(url)
        if name not in self._hosts:
            self._hosts[name] = Host(name, self._config.delay, time.monotonic())
            self._rest(self._hosts[name])
        return self._hosts[name]

    def has_room(self, host: Host, coming: int = 0) -> bool:
        """Whether another job of this host may wait in memory, after `coming` further ones."""
        return host.waiting + coming < self._config.waiting_per_host

    def add(self, job: Job, *, first: bool = False, wait: float = 0.0) -> None:
        """Lets a job wait: behind the others of its host, before them, or for some seconds."""
        host = self.of(job.url)
        if wait > 0:
            heapq.heappush(host.later, (time.monotonic() + wait, next(self._ties), job))
        elif first:
            host.ready.appendleft(job)
        else:
            host.ready.append(job)
        self.waiting += 1
        self._idle.pop(host.name, None)
        self._place(host)

    def take(self) -> tuple[Host, Job] | float | None:
        """The next job, which occupies its host until `release`; or the seconds until one is due; or None."""
        now = time.monotonic()
        while self._order:
            at, _, host = self._order[0]
            if at > now:
                return at - now
            heapq.heappop(self._order)
            if at != host.ordered_at:
                continue
            host.ordered_at = None
            if not self._may_start(host):
                continue  # `release` or `add` places it again
            if host.due() > now:
                self._place(host)
                continue
            while host.later and host.later[0][0] <= now:
                host.ready.appendleft(heapq.heappop(host.later)[2])
            host.active += 1
            self.waiting -= 1
            return host, host.ready.popleft()
        return None

    def starts(self, host: Host) -> None:
        """The job that was taken begins with a request: the next one follows after the host's delay at the earliest."""
        self.pause(host, host.delay)
        self._place(host)

    def passes(self, host: Host) -> None:
        """The job that was taken needs no request: the next one may follow at once."""
        self._place(host)

    def pause(self, host: Host, seconds: float) -> None:
        """A host is left alone for a while."""
        host.free_at = max(host.free_at, time.monotonic() + seconds)

    def release(self, host: Host) -> None:
        """A job that was taken is done, or waits again."""
        host.active -= 1
        self._place(host)
        self._rest(host)

    def give_up(self, host: Host) -> list[Job]:
        """Gives a host up; returns the jobs that waited for it."""
        host.given_up = True
        jobs = [*host.ready, *(job for _, _, job in host.later)]
        host.ready.clear()
        host.later.clear()
        self.waiting -= len(jobs)
        return jobs

    def _may_start(self, host: Host) -> bool:
        most = 1 if host.asks_rules else self._config.connections_per_host
        return host.waiting > 0 and host.active < most

    def _place(self, host: Host) -> None:
        if self._may_start(host) and (host.ordered_at is None or host.due() < host.ordered_at):
            host.ordered_at = host.due()
            heapq.heappush(self._order, (host.ordered_at, next(self._ties), host))

    def _rest(self, host: Host) -> None:
        """A host without work is remembered until enough others have come to rest after it."""
        if host.active or host.waiting:
            return
        self._idle[host.name] = None
        self._idle.move_to_end(host.name)
        while len(self._idle) > _REMEMBERED:
            del self._hosts[self._idle.popitem(last=False)[0]]
