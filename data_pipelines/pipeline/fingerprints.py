"""What tells one input of a build from another."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from etils import epath

from data_pipelines import inputs, progress
from data_pipelines.containers import shard_lists

_SAMPLE = 1 << 16  # bytes at either end of a file


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


def fingerprint(root: str, files: Iterable[str]) -> str:
    """A hash (hexadecimal, 128 bits) of the files' names, sizes, and first and last 64 KiB.

    So the launching machine reads no terabytes, and yet an edit of a page or a caption is seen. A file that cannot be
    read, or that a link takes from outside, counts by its name.
    """
    total = hashlib.blake2b(digest_size=16)
    for name in progress.bar(sorted(files), "listing input", "files"):
        encoded = name.encode(errors="surrogateescape")
        total.update(f"{len(encoded)}:".encode() + encoded)
        try:
            file = epath.Path(root) / name
            outside = "://" not in root and not inputs.is_inside(Path(root), Path(file))
            total.update(b"outside" if outside else _sample(file))
        except OSError:
            total.update(b"unreadable")
    return total.hexdigest()


def _sample(path: epath.Path) -> bytes:
    content = hashlib.blake2b(digest_size=16)
    size = path.stat().length
    content.update(str(size).encode())
    with path.open("rb") as file:
        content.update(file.read(_SAMPLE))
        if size > _SAMPLE:
            file.seek(max(_SAMPLE, size - _SAMPLE))
            content.update(file.read(_SAMPLE))
    return content.digest()
