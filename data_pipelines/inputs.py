"""The files of an input folder: listed without leaving it, in a fixed order, with a fingerprint of their contents."""

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

from data_pipelines import progress
from data_pipelines.output import BuildError

_CHUNK = 1 << 20


def list_files(root: Path) -> list[str]:
    """Every regular file below `root`, as paths relative to it with forward slashes, in the order of their names.

    Symbolic links to folders are not followed; those to files are listed, and whoever reads one checks where it leads.

    Raises:
      BuildError: `root` does not exist, is not a folder, or holds no file.
    """
    if not root.exists():
        raise BuildError(f"--input {root} does not exist")
    if not root.is_dir():
        raise BuildError(f"--input {root} is not a folder")
    found = []
    for folder, folders, names in os.walk(root):
        folders.sort()
        relative = Path(folder).relative_to(root)
        found += [(relative / name).as_posix() for name in names if (Path(folder) / name).is_file()]
    if not found:
        raise BuildError(f"--input {root} is an empty folder")
    return sorted(found)


def is_inside(root: Path, path: Path) -> bool:
    """Whether a file lies below `root` with every symbolic link followed."""
    return path.resolve().is_relative_to(root.resolve())


def fingerprint(root: Path, files: Iterable[str]) -> str:
    """A hash (hexadecimal, 128 bits) of the files' names and contents; one that cannot be read counts by its name."""
    total = hashlib.blake2b(digest_size=16)
    for name in progress.bar(sorted(files), "reading input", "files"):
        total.update(f"{len(name.encode(errors='surrogateescape'))}:".encode())
        total.update(name.encode(errors="surrogateescape"))
        path = root / name
        content = hashlib.blake2b(digest_size=16)
        if is_inside(root, path):
            try:
                with path.open("rb") as file:
                    while chunk := file.read(_CHUNK):
                        content.update(chunk)
            except OSError:
                content.update(b"unreadable")
        total.update(content.digest())
    return total.hexdigest()
