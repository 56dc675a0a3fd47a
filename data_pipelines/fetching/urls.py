"""Addresses as they are given, to addresses that can be asked for."""

import ipaddress
import re
import urllib.parse

import yarl

_LONGEST = 8000  # characters; servers need not take more (RFC 9110, 4.1)
_NAME = re.compile(r"(?=.{1,253}$)([a-z0-9_-]{1,63}\.)*[a-z0-9_-]{1,63}\.?")
# A path and a query that need no quoting: sent as they are, because some servers sign the very characters.
_QUOTED = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=:@/?-]++|%[0-9A-Fa-f]{2})*+")
_DOT_SEGMENT = re.compile(r"/\.\.?(?:/|$)")


class BadUrl(ValueError):
    """An address that cannot be asked for over HTTP."""


def parse(text: str) -> yarl.URL:
    """The address to ask for, without credentials and fragment.

    Raises:
      BadUrl: it is not an absolute http or https address with a host that can exist.
    """
    text = text.strip()
    if len(text) > _LONGEST:
        raise BadUrl(f"{text[:80]}...: {len(text)} characters")
    try:
        text.encode()  # half a surrogate pair, which yarl would leave out
        url = yarl.URL(text)
        parts = urllib.parse.urlsplit(text)
        host, port = url.raw_host or "", url.port
    except ValueError as error:
        raise BadUrl(f"{text!r}: {error}") from None
    if url.scheme not in ("http", "https") or not port or not _is_host(host):
        raise BadUrl(f"{text!r} is not an absolute http or https address")
    path, query = parts.path, parts.query
    if not _QUOTED.fullmatch(path + query) or _DOT_SEGMENT.search(path):
        path, query = url.raw_path, url.raw_query_string
    authority = f"[{host}]" if ":" in host else host
    if not url.is_default_port():
        authority += f":{port}"
    return yarl.URL(f"{url.scheme}://{authority}{path or '/'}{'?' * bool(query)}{query}", encoded=True)


def join(base: yarl.URL, location: str) -> yarl.URL:
    """Where a redirect from `base` leads.

    Raises:
      BadUrl: as `parse`.
    """
    # aiohttp shows the bytes of a header that are not UTF-8 as lone surrogates; browsers quote them.
    location = re.sub("[\udc80-\udcff]", lambda found: f"%{ord(found[0]) - 0xDC00:02X}", location.strip())
    try:
        return parse(urllib.parse.urljoin(str(base), location))
    except ValueError as error:
        raise BadUrl(str(error)) from None


def robots(url: yarl.URL) -> yarl.URL:
    """Where the robots.txt is that speaks of `url`."""
    return url.origin().with_path("/robots.txt")


def _is_host(host: str) -> bool:
    if ":" not in host:
        return _NAME.fullmatch(host) is not None
    try:
        return "%" not in host and ipaddress.IPv6Address(host) is not None
    except ValueError:
        return False
