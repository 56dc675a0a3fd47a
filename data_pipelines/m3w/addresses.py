"""Addresses of pages and images: absolute, on the web, without fragments."""

from urllib.parse import quote, urldefrag, urljoin, urlsplit

_SAFE = "/:?#[]@!$&'()*+,;=%~-._"


def absolute(page: str, base: str | None, url: str) -> str:
    """The address that `url` has on a page, or "" if it is none of the web's.

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
        return quote(joined, safe=_SAFE)
    except ValueError:
        return ""


def of_file(site: str, path: str) -> str:
    """The address of the file at `path` below a folder that mirrors `site`."""
    return site + quote(path, safe="/~-._!$&'()*+,;=:@")


def without_query(url: str) -> str:
    """The address up to its question mark."""
    return url.partition("?")[0]
