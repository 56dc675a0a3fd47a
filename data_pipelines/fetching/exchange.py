"""One request and its answer, over a session that connects to public addresses only."""

import contextlib
import dataclasses
import email.utils
import errno
import time
from collections.abc import AsyncIterator, Callable, Mapping

import aiohttp
import yarl
from aiohttp.abc import AbstractResolver

from data_pipelines.fetching import addresses, bodies, outcomes, sniffing, urls
from data_pipelines.fetching.config import FetchConfig
from data_pipelines.fetching.outcomes import Failure

_ACCEPT = {"image": "image/*", "page": "text/html,application/xhtml+xml"}
_ENCODINGS = {"image": "identity", "page": "gzip, deflate"}  # images are compressed in themselves
_MOVED = (301, 302, 303, 307, 308)
_PASSING = (408, 425, 429)  # of the 4xx; another try may succeed
_OURS = (errno.EMFILE, errno.ENFILE)  # no socket is left for any host: `connections` is too high for this machine
_NAME_SECONDS = 300  # for which a resolved name is remembered; each connection is checked anyhow


@dataclasses.dataclass(frozen=True, slots=True)
class Body:
    """An answer with something to keep; `mime` is told by the bytes."""

    status: int
    content: bytes
    mime: str


@dataclasses.dataclass(frozen=True, slots=True)
class Beginning:
    """A status, and the beginning of a body if it is a success or where it leads if it is a redirect."""

    status: int
    content: bytes = b""
    location: str | None = None


class Client:
    """Asks for single addresses. An async context manager."""

    def __init__(self, config: FetchConfig, kind: str, resolver: AbstractResolver | None = None):
        """
        Args:
          config: the limits.
          kind: "image" or "page": what bodies have to be.
          resolver: from names to addresses; the system's if None.

        Raises:
          ValueError: the configuration names no contact.
        """
        headers = {"User-Agent": config.user_agent, "Connection": "close"}
        self._config = config
        self._kind = kind
        self._accepts = _page if kind == "page" else _image(config.image_types)
        # One request a connection: with a delay between requests little is gained by keeping them, and each use of a
        # kept one would have to be told from the first.
        connector = aiohttp.TCPConnector(
            limit=0,  # the fetcher counts
            force_close=True,
            resolver=resolver or aiohttp.ThreadedResolver(),
            ttl_dns_cache=_NAME_SECONDS,
            socket_factory=addresses.Gate(config.private_networks_allowed).socket,
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            middlewares=(_once,),
            trust_env=False,  # a proxy would connect to what the gate does not see
            headers=headers,
            timeout=aiohttp.ClientTimeout(
                total=config.total_timeout, connect=config.connect_timeout, sock_read=config.read_timeout
            ),
        )

    async def __aenter__(self) -> "Client":
        return self

    async def __aexit__(self, *_) -> None:
        await self._session.close()

    async def get(self, url: yarl.URL) -> Body | yarl.URL:
        """Asks for an image or a page.

        Returns:
          What came, or where else to ask.

        Raises:
          Failure: nothing came.
          OSError: this machine has too many files open.
        """
        headers = {"Accept": _ACCEPT[self._kind], "Accept-Encoding": _ENCODINGS[self._kind]}
        async with self._answer(url, headers) as response:
            if response.status in _MOVED:
                try:
                    return urls.join(url, response.headers["Location"])
                except (KeyError, urls.BadUrl):
                    raise Failure(outcomes.REDIRECTS, lasting=True) from None
            _check(response.status, response.headers)
            accepts = self._accepts(response.headers.get("Content-Type", ""))
            content, kind = await bodies.read(response, self._config.max_bytes, accepts)
            return Body(response.status, content, sniffing.mime(kind))

    async def beginning(self, url: yarl.URL, most: int) -> Beginning:
        """Asks for a text of which `most` bytes matter.

        Raises:
          Failure: no answer, or one that cannot be decoded.
        """
        async with self._answer(url, {"Accept": "text/plain", "Accept-Encoding": "identity"}) as response:
            if response.status in _MOVED:
                return Beginning(response.status, location=response.headers.get("Location", ""))
            if 200 <= response.status < 300:
                return Beginning(response.status, await bodies.read_beginning(response, most))
            return Beginning(response.status)

    @contextlib.asynccontextmanager
    async def _answer(self, url: yarl.URL, headers: Mapping[str, str]) -> AsyncIterator[aiohttp.ClientResponse]:
        """The answer to one request; whatever goes wrong with the connection becomes a `Failure`."""
        try:
            async with self._session.get(url, headers=headers, allow_redirects=False) as response:
                try:
                    yield response
                finally:
                    response.close()  # what has not been read by now is not wanted
        except aiohttp.ClientConnectorError as error:
            if isinstance(error.os_error, addresses.PrivateAddress):
                raise Failure(outcomes.PRIVATE_ADDRESS, lasting=True) from None
            if error.os_error.errno in _OURS:
                raise error.os_error from None
            raise Failure(outcomes.CONNECTION, retry=True) from None
        except aiohttp.ConnectionTimeoutError:
            raise Failure(outcomes.CONNECTION, retry=True) from None
        except TimeoutError:
            raise Failure(outcomes.TIMEOUT, retry=True) from None
        except (aiohttp.ClientError, OSError):
            raise Failure(outcomes.CONNECTION, retry=True) from None


async def _once(request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Sends a request once: aiohttp would send it again at once where the server hangs up."""
    try:
        return await send(request)
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError):
        raise Failure(outcomes.CONNECTION, retry=True) from None


def _image(types: tuple[str, ...]) -> Callable[[str], Callable[[bytes], str | None]]:
    def recognize(head: bytes) -> str | None:
        kind = sniffing.image(head)
        return kind if kind in types else None

    return lambda _: recognize


def _page(content_type: str) -> Callable[[bytes], str | None]:
    return lambda head: sniffing.page(head, content_type)


def _check(status: int, headers: Mapping[str, str]) -> None:
    """Raises the `Failure` of an answer without a body to read."""
    if status in (200, 203):
        return
    if status in (204, 205):
        raise Failure(outcomes.EMPTY, lasting=True)
    if status in (404, 410):
        raise Failure(outcomes.NOT_FOUND, lasting=True)
    if status in _PASSING or status >= 500:
        pause = retry_after(headers.get("Retry-After", "")) if status in (429, 503) else None
        raise Failure(outcomes.HTTP_ERROR, retry=True, pause=pause)
    raise Failure(outcomes.HTTP_ERROR, lasting=True)


def retry_after(value: str) -> float | None:
    """Seconds from now that a Retry-After header means, as a number or a date; None if it means nothing."""
    value = value.strip()
    if value.isascii() and value.isdigit():
        return float(value[:9])
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError, OSError):
        return None
