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


def of_build(builder: str, values: argparse.Namespace, config: Any) -> dict:
    """What a dataset is made of: input, settings, and what is looked up elsewhere.

    Args:
      builder: its name.
      values: the flags of the command: `input`, `store`, `fetch`.
      config: the builder's configuration. How images are fetched does not decide what is in the dataset.
    """
    settings = dataclasses.asdict(config)
    del settings["fetching"]
    return {
        "builder": builder,
        "settings": settings,
        "input": identity(values.input),
        "store": {"folder": values.store, "fetch": values.fetch},
        "evaluation": [identity(root) for root in config.decontamination.evaluation],
    }


def fingerprint(root: str, files: Iterable[str]) -> str:
    """A hash (hexadecimal, 128 bits) of the files' names, sizes, and first and last 64 KiB.

    Of more than 100,000 files the time of the last change stands for what is in them, so that the launching machine
    reads no terabytes. A file that cannot be read, or that a link takes from outside, counts by its name.
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
