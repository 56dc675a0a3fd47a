"""From an image's URL in a page to a file below the input folder, and never to one outside it."""

import dataclasses
import os
import posixpath
import stat
from pathlib import Path
from urllib.parse import unquote, urlsplit


@dataclasses.dataclass(frozen=True, slots=True)
class Resolved:
    """Either `source`, a path relative to the input folder with forward slashes, or the `rule` that refused it."""

    source: str = ""
    rule: str = ""


def relative_path(page: str, base: str | None, url: str) -> Resolved:
    """Where a URL points below the input folder, by name alone; no file is touched.

    Args:
      page: the page's path relative to the input folder.
      base: the page's `<base href>`, or None.
      url: an absolute path counts from the input folder. Query and fragment are ignored;
        percent-escapes are decoded once.

    Returns:
      A source, or one of the rules `image_not_local` (a scheme or a host), `image_outside_input`, `image_missing` (an
      address that no file can have).
    """
    folder = posixpath.dirname(page)
    if base:
        resolved = _join(folder, base.strip())
        if resolved.rule:
            return resolved
        folder = resolved.source if base.strip().endswith("/") else posixpath.dirname(resolved.source)
    resolved = _join(folder, url.strip())
    if resolved.rule:
        return resolved
    path = posixpath.normpath(resolved.source)
    if path == ".." or path.startswith("../"):
        return Resolved(rule="image_outside_input")
    if path == ".":
        return Resolved(rule="image_missing")
    return Resolved(source=path)


def _join(folder: str, url: str) -> Resolved:
    try:
        parts = urlsplit(url)
    except ValueError:
        return Resolved(rule="image_not_local")
    if parts.scheme or parts.netloc:
        return Resolved(rule="image_not_local")
    path = unquote(parts.path, errors="replace")
    if not path or "\x00" in path or "\ufffd" in path:
        return Resolved(rule="image_missing")
    path = path.replace("\\", "/")  # as browsers do
    return Resolved(source=path.lstrip("/") if path.startswith("/") else posixpath.join(folder, path))


def check_file(root: Path, source: str) -> str:
    """Why the file may not be read, or "".

    Args:
      root: the input folder.
      source: a path relative to it.

    Returns:
      "" for a regular file that lies below `root` with every symbolic link followed, else `image_missing` or
      `image_outside_input`.
    """
    real_root = os.path.realpath(root)
    try:
        real = os.path.realpath(os.path.join(real_root, source), strict=True)  # noqa: PTH118
        mode = os.stat(real).st_mode  # noqa: PTH116
    except (OSError, ValueError):
        return "image_missing"
    if not real.startswith(real_root.rstrip(os.sep) + os.sep):
        return "image_outside_input"
    return "" if stat.S_ISREG(mode) else "image_missing"
