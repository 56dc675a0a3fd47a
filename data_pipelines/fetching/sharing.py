"""How the workers of a build share out what there is to fetch."""

import dataclasses
import zlib
from urllib.parse import urlsplit

from data_pipelines.fetching.config import FetchConfig


@dataclasses.dataclass(frozen=True)
class Fetching:
    """How a build fetches images and pages.

    Attributes:
      limits: of each worker that fetches.
      partitions: hosts are dealt to so many, and one worker fetches each of these, so that a host is not asked by two.
        Let there be a few for each worker; with more, a worker asks fewer hosts at a time.
      most_addresses: how many addresses of one image are tried. Those after the first are asked for by the worker that
        asked for the first one, wherever they are.
    """

    limits: FetchConfig = dataclasses.field(default_factory=FetchConfig)
    partitions: int = 8
    most_addresses: int = 3


def partition(urls: tuple[str, ...], partitions: int) -> tuple[int, tuple[str, ...]]:
    """(which worker asks the host of the first address, the addresses)."""
    host = urlsplit(urls[0]).hostname or ""
    return zlib.crc32(host.encode()) % partitions, urls
