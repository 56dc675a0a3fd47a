"""What a host's robots.txt says about one address (RFC 9309)."""

import asyncio
import re
import time
from concurrent.futures import Executor

import yarl
from protego import Protego

from data_pipelines.fetching import outcomes, urls
from data_pipelines.fetching.config import PRODUCT, FetchConfig
from data_pipelines.fetching.exchange import Client
from data_pipelines.fetching.outcomes import Failure

_REDIRECTS = 5  # RFC 9309, 2.3.1.2
_LIFETIME = 24 * 3600.0  # seconds; RFC 9309, 2.4
_AGENT_LINE = re.compile(r"\s*user[- ]?agent\s*:?\s*(.*)", re.IGNORECASE)


class Rules:
    """What may be asked of one origin (a scheme, a host and a port) for a day."""

    def __init__(self, parser: Protego | None, *, refuses_all: bool = False):
        """
        Args:
          parser: of the robots.txt; None if there is none.
          refuses_all: nothing may be asked, because the robots.txt was not given.
        """
        self._parser = parser
        self._refuses_all = refuses_all
        self._expires = time.monotonic() + _LIFETIME
        self.delay = (parser.crawl_delay(PRODUCT) if parser else None) or 0.0  # seconds

    @property
    def fresh(self) -> bool:
        """Whether they still hold."""
        return time.monotonic() < self._expires

    def refusal(self, url: yarl.URL) -> Failure | None:
        """Why an address may not be asked for; None if it may."""
        if self._refuses_all:
            return Failure(outcomes.ROBOTS)
        if self._parser is not None and not self._parser.can_fetch(str(url), PRODUCT):
            return Failure(outcomes.ROBOTS, lasting=True)
        return None


async def load(client: Client, url: yarl.URL, config: FetchConfig, threads: Executor) -> Rules:
    """Asks the origin of an address for its robots.txt.

    A status 4xx means that there is none, so all is allowed; redirects that do not end mean the same. Status 429 and
    5xx mean that nobody knows, so nothing is.

    Args:
      client: does the asking.
      url: the robots.txt is that of its origin.
      config: the limits.
      threads: where a robots.txt is parsed: a large one takes a while.

    Raises:
      Failure: the host cannot be reached, or takes too long. Asking again later may help.
    """
    origin = asked = urls.robots(url)
    for _ in range(_REDIRECTS + 1):
        try:
            answer = await client.beginning(asked, config.max_robots_bytes)
        except Failure as failure:
            if asked == origin and failure.rule in (outcomes.CONNECTION, outcomes.PRIVATE_ADDRESS):
                raise
            if failure.retry:
                raise Failure(outcomes.ROBOTS, retry=True) from None
            return Rules(None, refuses_all=True)
        if answer.location is None:
            break
        try:
            asked = urls.join(asked, answer.location)
        except urls.BadUrl:
            return Rules(None)
    if answer.location is not None or (400 <= answer.status < 500 and answer.status != 429):
        return Rules(None)
    if not 200 <= answer.status < 300:
        return Rules(None, refuses_all=True)
    return Rules(await asyncio.get_running_loop().run_in_executor(threads, parse, answer.content))


def parse(content: bytes) -> Protego:
    """Parses a robots.txt.

    Groups for other programs are merged under one name first: the parser keeps a copy of the rules for each name of a
    group, so that a file of 500 KiB that is made for it would take gigabytes.
    """
    lines = content.decode("utf-8-sig", "replace").splitlines()
    return Protego.parse("\n".join(_without_others(line) for line in lines))


def _without_others(line: str) -> str:
    found = _AGENT_LINE.match(line.partition("#")[0])
    if found is None:
        return line
    name = found[1].strip().lower().replace("*", "")
    return line if not name or PRODUCT.startswith(name) else "User-agent: another"
