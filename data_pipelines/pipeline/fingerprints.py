"""What tells one input of a build from another."""

import argparse
import dataclasses
import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from etils import epath

from data_pipelines import inputs, progress
from data_pipelines.containers import shard_lists
from data_pipelines.copies.decontamination import Decontamination

_SAMPLE = 1 << 16  # bytes at either end of a file
_MOST_READ = 100_000  # files


def identity(root: str, without: str = "") -> dict:
    """How many files a file, a folder or a glob names, and their fingerprint.

    Args:
      without: a folder whose files do not count, such as that of the output.

    Raises:
      BuildError: there is none.
    """
    base, names = (root, inputs.list_files(Path(root))) if Path(root).is_dir() else shard_lists.files(root)
    if without and "://" not in root:
        names = [name for name in names if not inputs.is_inside(Path(without), Path(base) / name)]
    return {"files": len(names), "hash": fingerprint(base, names)}


def settings(config: Any) -> dict:
    """The values of a configuration that decide what is in the dataset: all but how images are fetched."""
    values = dataclasses.asdict(config)
    del values["fetching"]
    return values


def store(values: argparse.Namespace) -> dict:
    """The store that a command's flags name, and whether it may grow; a store that others fill is another each time."""
    return {"folder": values.store, "fetch": values.fetch}


def evaluation(config: Decontamination) -> list[dict]:
    """Which evaluation images a corpus is checked against."""
    return [identity(root) for root in config.evaluation]


def fingerprint(root: str, files: Iterable[str]) -> str:
    """A hash (hexadecimal, 128 bits) of the files' names, sizes, and first and last 64 KiB.

    Of more than 100,000 files the time of the last change stands for what is in them, so that the launching machine
    reads no terabytes. A file that cannot be
    read, or that a link takes from outside, counts by its name.
    """
    total = hashlib.blake2b(digest_size=16)
    files = sorted(files)
    describe = _sample if len(files) <= _MOST_READ else _times
    for name in progress.bar(files, "listing input", "files"):
        encoded = name.encode(errors="surrogateescape")
        total.update(f"{len(encoded)}:".encode() + encoded)
        try:
            file = epath.Path(root) / name
            outside = "://" not in root and not inputs.is_inside(Path(root), Path(file))
            total.update(b"outside" if outside else describe(file))
        except OSError:
            total.update(b"unreadable")
    return total.hexdigest()


def _sample(path: epath.Path) -> bytes:
    content = hashlib.blake2b(digest_size=16)
    size = path.stat().length
    if "://" not in str(path) and not Path(path).is_file():
        return b"no regular file"  # a pipe would wait for ever
    content.update(str(size).encode())
    with path.open("rb") as file:
        content.update(file.read(_SAMPLE))
        if size > _SAMPLE:
            file.seek(max(_SAMPLE, size - _SAMPLE))
            content.update(file.read(_SAMPLE))
    return content.digest()


def _times(path: epath.Path) -> bytes:
    found = path.stat()
    return f"{found.length} {found.mtime}".encode()
