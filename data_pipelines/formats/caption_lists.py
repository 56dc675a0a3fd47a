"""What lists of captioned files have in common: where the files are, and which captions are taken."""

import posixpath
import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from etils import epath

from data_pipelines.containers import shard_lists, text_values
from data_pipelines.formats import captioned
from data_pipelines.m3w import encoding, resolve

EACH, FIRST = "each", "first"
_ESCAPED_BYTE = re.compile(r"[\udc80-\udcff]")  # as `errors="surrogateescape"` has bytes that are not UTF-8


def check(captions: str, splits: Sequence[str]) -> None:
    """Raises ValueError if an option of a list has no such value."""
    if captions not in (EACH, FIRST):
        raise ValueError(f"captions must be {EACH!r} or {FIRST!r}, got {captions!r}")
    if isinstance(splits, str):
        raise ValueError(f"splits must be a tuple of names, such as ('train',), got {splits!r}")


def caption(value: Any) -> tuple[str, str]:
    """(the caption that a value holds, in one line, "") or ("", the rule that refuses it).

    Rules: `caption_null`, `caption_not_a_string`, `caption_empty`, `caption_undecodable` (in no known encoding).
    """
    text = _decode(value)
    return ("", "caption_undecodable") if isinstance(value, str) and text is None else captioned.caption(text)


def name(value: Any) -> str:
    """A file name as a list has it, "" if it is none."""
    text = _decode(value)
    text = text_values.clean(text) if isinstance(text, str) else ""
    return PurePosixPath(text).as_posix() if text else ""


def _decode(value: Any) -> Any:
    """A string with bytes that were not UTF-8 as the text that they are, or None; anything else as it is."""
    if not isinstance(value, str) or not _ESCAPED_BYTE.search(value):
        return value
    try:
        return encoding.decode(value.encode(errors="surrogateescape"))
    except UnicodeEncodeError:  # other surrogates, which JSON can spell
        return value


def folder(shard: str, configured: str) -> tuple[str, str]:
    """Where the files of a list are.

    Args:
      shard: the list (see `shard_lists`).
      configured: the folder that the user names, or "" for the list's own.

    Returns:
      (the folder, what it is called within the corpus: "" or a relative path with a "/" at its end). The latter stands
      before file names in keys, so that two lists in two folders have no key in common.
    """
    if configured:
        return configured, ""
    path, listed_as = shard_lists.split(shard)
    prefix = posixpath.dirname(listed_as)
    return str(epath.Path(path).parent), f"{prefix}/" if prefix else ""


def locate(folder: str, names: Sequence[str], unit: str) -> tuple[int, str, str]:
    """The first of some names that is a file below `folder`.

    On this machine links are followed, and must not lead out. In a bucket there are none; there, a single name is not
    looked up but taken for granted: whoever reads the file finds out, on many machines at once.

    Args:
      unit: "image" or "clip", for the rules.

    Returns:
      (which name, its path relative to the folder, "") or (0, "", `image_missing` or `image_outside_input`).
    """
    first = ""
    for index, candidate in enumerate(names):
        relative = _relative(folder, candidate)
        if "://" in folder:
            rule = _check_remote(folder, relative, is_sure=len(names) == 1)
        else:
            rule = resolve.check_file(Path(folder), relative).removeprefix("image_")
        if not rule:
            return index, relative, ""
        first = first or rule
    return 0, "", f"{unit}_{first}"


def join(folder: str, relative: str) -> str:
    """The path of a located file."""
    return f"{folder.rstrip('/')}/{relative}"


def _relative(folder: str, candidate: str) -> str:
    path = PurePosixPath(candidate)
    return path.relative_to(folder).as_posix() if path.is_absolute() and path.is_relative_to(folder) else candidate


def _check_remote(folder: str, relative: str, is_sure: bool) -> str:
    normal = posixpath.normpath(relative)
    if normal.startswith(("/", "../")) or normal == "..":
        return "outside_input"
    return "" if is_sure or epath.Path(join(folder, relative)).exists() else "missing"
