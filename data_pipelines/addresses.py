"""Addresses of pages and images: absolute, on the web, without fragments."""

import re
from urllib.parse import quote, unquote, urldefrag, urljoin, urlsplit

_SAFE = "/:?#[]@!$&'()*+,;=%~-._"
_ESCAPE = re.compile("%[0-9A-Fa-f]{2}")
_PLAIN = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~!$&'()*+,;=:@")


def absolute(page: str, base: str | None, url: str) -> str:
    """The address that `url` has on a page, or "" if it is none of the web's.

    Characters that need no escape in a path have none: servers hold "a+b.png" and "a%2Bb.png" for one file, and pages
    and crawlers write either.

    Args:
      page: the page's address.
      base: its `<base href>`, or None.
      url: as it stands in the page.
    """
    try:
        joined = urldefrag(urljoin(urljoin(page, base.strip()) if base else page, url.strip().replace("\\", "/"))).url
        parts = urlsplit(joined)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            return ""
        address, question, query = quote(joined, safe=_SAFE).partition("?")
        return _ESCAPE.sub(_unescaped, address) + question + query
    except ValueError:
        return ""


def _unescaped(match: re.Match) -> str:
    character = unquote(match[0])
    return character if character in _PLAIN else match[0].upper()


def of_file(site: str, path: str) -> str:
    """The address of the file at `path` below a folder that mirrors `site`."""
    return site + quote(path, safe="/~!$&'()*+,;=:@")


def without_query(url: str) -> str:
    """The address up to its question mark."""
    return url.partition("?")[0]
