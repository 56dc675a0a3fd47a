"""What the fetcher may do: how fast, how long, how much, and in whose name."""

import dataclasses
import ipaddress

from data_pipelines.fetching import sniffing

PRODUCT = "flamingo-jax"  # what a robots.txt calls this program
_VERSION = "0.1"
_COUNTS = ("connections", "connections_per_host", "max_bytes", "max_robots_bytes", "host_failures")
_SECONDS = ("connect_timeout", "read_timeout", "total_timeout", "max_wait")


@dataclasses.dataclass(frozen=True)
class FetchConfig:
    """Limits of a fetch. Times are in seconds.

    Memory is bounded by `connections` bodies of `max_bytes` and by `waiting` addresses.

    Attributes:
      contact: a URL or e-mail address of whoever runs this; hosts read it in the User-Agent and complain there.
      connections: requests at the same time.
      connections_per_host: of them, to one host.
      delay: from the start of one request to a host to the start of the next. A host is told by its name; its ports
        and schemes count together.
      max_crawl_delay: a longer Crawl-delay in robots.txt is cut to this.
      connect_timeout: for the name, the connection and TLS.
      read_timeout: without a single byte.
      total_timeout: for one request and its answer.
      retries: how often an address is tried again after a time-out, a broken connection, or status 408, 425, 429, 5xx.
      backoff: before the first of them; each further one waits twice as long.
      max_wait: the longest backoff. A host that asks for more patience (Retry-After) is left alone for this run.
      max_bytes: of a body, as sent and as decoded.
      max_redirects: from one address.
      obey_robots: ask each host for robots.txt first, and do what it says.
      max_robots_bytes: what follows in a longer robots.txt is not read. RFC 9309 asks for at least 500 KiB.
      image_types: accepted by `--kind=image`, told by the first bytes; some of jpeg, png, gif, webp, bmp, tiff, avif.
      private_networks_allowed: networks such as "10.1.0.0/16" that may be asked although they are not public: a mirror
        at home. Whoever writes a page chooses its links, so nothing else in them may lead behind a firewall.
      host_failures: a host that fails so many requests in a row is given up for this run.
      waiting: addresses held in memory.
      waiting_per_host: of them, for one host; more wait in a temporary file.
    """

    contact: str = ""
    connections: int = 128
    connections_per_host: int = 2
    delay: float = 0.5
    max_crawl_delay: float = 30.0
    connect_timeout: float = 10.0
    read_timeout: float = 15.0
    total_timeout: float = 60.0
    retries: int = 2
    backoff: float = 2.0
    max_wait: float = 120.0
    max_bytes: int = 20_000_000
    max_redirects: int = 5
    obey_robots: bool = True
    max_robots_bytes: int = 500 * 1024
    image_types: tuple[str, ...] = sniffing.IMAGE_TYPES
    private_networks_allowed: tuple[str, ...] = ()
    host_failures: int = 10
    waiting: int = 50_000
    waiting_per_host: int = 1_000

    def __post_init__(self):
        for name in (*_COUNTS, *_SECONDS):
            if not getattr(self, name) > 0:
                raise ValueError(f"FetchConfig.{name} is {getattr(self, name)!r}; it must be above 0")
        for name in ("delay", "max_crawl_delay", "retries", "backoff", "max_redirects"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"FetchConfig.{name} is {getattr(self, name)!r}; it must be 0 or more")
        if not 0 < self.waiting_per_host <= self.waiting:
            raise ValueError(
                f"FetchConfig.waiting_per_host is {self.waiting_per_host}; it must be 1 to waiting ({self.waiting})"
            )
        if unknown := sorted(set(self.image_types) - set(sniffing.IMAGE_TYPES)):
            raise ValueError(
                f"FetchConfig.image_types has {', '.join(unknown)}; known are {', '.join(sniffing.IMAGE_TYPES)}"
            )
        for network in self.private_networks_allowed:
            try:
                ipaddress.ip_network(network)
            except ValueError as error:
                raise ValueError(f"FetchConfig.private_networks_allowed: {error}") from None
        if not self.contact.isprintable() or not self.contact.isascii():
            raise ValueError(f"FetchConfig.contact is {self.contact!r}; use printable ASCII characters")

    @property
    def user_agent(self) -> str:
        """What every request says about its sender.

        Raises:
          ValueError: nobody is named.
        """
        if not self.contact.strip():
            raise ValueError("FetchConfig.contact is empty: name a URL or an e-mail address where hosts can reach you")
        return f"{PRODUCT}/{_VERSION} (+{self.contact.strip()})"
