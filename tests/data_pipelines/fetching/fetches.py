"""Runs the fetcher in tests: without delays, on loopback alone, with names that a test makes up."""

import asyncio
import io
import socket
from collections.abc import Iterable, Mapping

import numpy as np
from aiohttp.abc import AbstractResolver
from PIL import Image

from data_pipelines.fetching.config import FetchConfig
from data_pipelines.fetching.fetcher import fetch_all
from data_pipelines.fetching.outcomes import Result
from data_pipelines.fetching.store import ImageStore

QUICK = {
    "contact": "https://example.org/crawl",
    "private_networks_allowed": ("127.0.0.1/32",),
    "connections_per_host": 4,
    "delay": 0.0,
    "retries": 0,
    "backoff": 0.02,
    "max_bytes": 100_000,
    "host_failures": 100,
    "obey_robots": False,
}
IMPATIENT = {"connect_timeout": 0.3, "read_timeout": 0.2, "total_timeout": 0.6}


def encoded(form: str = "PNG", side: int = 16) -> bytes:
    """An image file of noise."""
    pixels = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, form)
    return file.getvalue()


class Names(AbstractResolver):
    """Resolves names as a test says, and no others; counts how often it is asked. A list gives its answers in turn."""

    def __init__(self, names: Mapping[str, str | list[str]] | None = None, seconds: float = 0.0):
        self._names = dict(names or {})
        self._seconds = seconds
        self.asked: list[str] = []

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET) -> list[dict]:
        """See `AbstractResolver`."""
        self.asked.append(host)
        await asyncio.sleep(self._seconds)
        if host not in self._names:
            raise OSError(f"no such name: {host}")
        found = self._names[host]
        address = found.pop(0) if isinstance(found, list) else found
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        return [{"hostname": host, "host": address, "port": port, "family": family, "proto": 0, "flags": 0}]

    async def close(self) -> None:
        """Nothing to close."""


def run(
    given: Iterable[str], store: ImageStore, names: Mapping[str, str | list[str]] | Names | None = None, **changes
) -> list[Result]:
    """Fetches; the results in the order of their ends."""
    results: list[Result] = []
    resolver = names if isinstance(names, Names) else Names(names)
    config = FetchConfig(**{**QUICK, **changes})
    counts = asyncio.run(fetch_all(given, store, config, results.append, resolver=resolver))
    assert counts.total() == len(results)
    return results


def outcome(url: str, store: ImageStore, names: Mapping[str, str | list[str]] | Names | None = None, **changes) -> str:
    """How the fetch of one address ends."""
    (result,) = run([url], store, names, **changes)
    assert result.url == url
    return result.outcome
