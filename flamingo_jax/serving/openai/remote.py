"""Fetches pictures and clips of the web, and of nothing nearer: no address of this machine or of its network.

Names are looked up once and the connection is made to the address that was judged, so a name cannot change its meaning
between the two. Proxies of the environment are not used.
"""

import contextlib
import http.client
import ipaddress
import socket
import ssl
import threading
import time
import urllib.parse
from collections.abc import Callable

_REDIRECTS = 3
_MOVED = (301, 302, 303, 307, 308)
_PORTS = {"http": 80, "https": 443}
_PART = 1 << 16  # bytes
# IPv6 addresses that translators turn into IPv4 ones, of whatever network (RFC 6052, RFC 8215).
_TRANSLATED = ("64:ff9b::/96", "64:ff9b:1::/48")
# Site-local and IPv4-compatible ones, which are out of use (RFC 3879, 4291), relays of 6to4 (RFC 7526), and the service
# that Azure's machines ask about themselves.
_OTHERS = ("fec0::/10", "::/96", "::ffff:0:0:0/96", "192.88.99.0/24", "168.63.129.16/32")
_REFUSED = [ipaddress.ip_network(text) for text in (*_TRANSLATED, *_OTHERS)]
_HEADERS = {"User-Agent": "flamingo-jax", "Accept": "image/*, video/*", "Accept-Encoding": "identity"}


class FetchError(Exception):
    """What an address names cannot be had; the message is one line."""


def fetch(url: str, most: int, seconds: float, take: Callable[[int], None] = lambda size: None) -> bytes:
    """What the web has at an address.

    Args:
      most: bytes.
      seconds: for all of it, redirections included; what the system takes to look up a name may come on top.
      take: is told of so many bytes more that are held; may refuse them, and its exception ends all.

    Raises:
      FetchError: the address, or one that it leads to, is not http(s) or not public; it cannot be reached; or what is
        there is too large or too slow.
    """
    end = time.monotonic() + seconds
    for _ in range(_REDIRECTS + 1):
        answer = _get(url, most, end, take)
        if isinstance(answer, bytes):
            return answer
        try:
            url = urllib.parse.urljoin(url, answer)
        except ValueError as error:
            raise FetchError("the address leads to another that is malformed") from error
    raise FetchError(f"the address leads to another more than {_REDIRECTS} times")


def public(address: str) -> bool:
    """Whether an IP address is one of the public internet, and not of this machine, its network or a special use."""
    parsed = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            parsed = parsed.ipv4_mapped
        elif parsed.sixtofour or parsed.teredo:
            return False
    if any(parsed.version == network.version and parsed in network for network in _REFUSED):
        return False
    return parsed.is_global and not parsed.is_multicast


def _get(url: str, most: int, end: float, take: Callable[[int], None]) -> bytes | str:
    """The bytes, or the address that there is instead."""
    try:
        parts = urllib.parse.urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise FetchError("the address is malformed") from error
    if parts.scheme not in _PORTS or not host:
        raise FetchError("the address is not one of http or https")
    port = port or _PORTS[parts.scheme]
    try:
        connection = _connection(parts.scheme, host, port)
    except http.client.HTTPException as error:
        raise FetchError("the address is malformed") from error
    timer = None
    try:
        connection.sock = _open(parts.scheme, host, port, end)
        # The timeout of a socket counts anew for every byte; this one does not.
        timer = threading.Timer(max(0.0, end - time.monotonic()), _shut, [connection.sock])
        timer.daemon = True
        timer.start()
        if isinstance(connection.sock, ssl.SSLSocket):
            connection.sock.do_handshake()
        target = urllib.parse.quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._")
        query = f"?{urllib.parse.quote(parts.query, safe='/%:@!$&()*+,;=~-._?')}" if parts.query else ""
        connection.request("GET", target + query, headers=_HEADERS)
        answer = connection.getresponse()
        if answer.status in _MOVED and answer.headers.get("Location"):
            return answer.headers["Location"]
        if answer.status != http.client.OK:
            raise FetchError(f"the address answers with status {answer.status}")
        return _read(answer, most, end, take)
    except (OSError, http.client.HTTPException, ValueError) as error:
        late = time.monotonic() >= end
        raise FetchError("the address takes too long" if late else "the address cannot be reached") from error
    finally:
        if timer is not None:
            timer.cancel()
        connection.close()


def _connection(scheme: str, host: str, port: int) -> http.client.HTTPConnection:
    return (http.client.HTTPSConnection if scheme == "https" else http.client.HTTPConnection)(host, port)


def _open(scheme: str, host: str, port: int, end: float) -> socket.socket:
    """A connection to the first address of the host, if all are public; of https the handshake is still to come.

    Raises:
      FetchError: one is not.
      OSError: it cannot be reached.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    if time.monotonic() >= end:
        raise TimeoutError
    addresses = [entry[4][0] for entry in found]
    if not addresses or not all(map(public, addresses)):
        raise FetchError("the address is not one of the public internet")
    left = max(0.1, end - time.monotonic())
    plain = socket.create_connection((addresses[0], port), timeout=left)
    if scheme == "http":
        return plain
    try:
        context = ssl.create_default_context()
        return context.wrap_socket(plain, server_hostname=host, do_handshake_on_connect=False)
    except BaseException:
        plain.close()
        raise


def _read(answer: http.client.HTTPResponse, most: int, end: float, take: Callable[[int], None]) -> bytes:
    parts, size, claimed = [], 0, answer.length
    while part := answer.read1(_PART):
        size += len(part)
        if size > most:
            raise FetchError(f"what the address has is more than {most} bytes")
        take(len(part))
        parts.append(part)
        if time.monotonic() >= end:
            break
    if time.monotonic() >= end:  # also where it was cut off then
        raise TimeoutError
    if claimed not in (None, size):
        raise http.client.IncompleteRead(b"")
    return b"".join(parts)


def _shut(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):  # it is closed already
        # Not as `SSLSocket` does, which lets go of its state while another thread reads.
        socket.socket.shutdown(connection, socket.SHUT_RDWR)
