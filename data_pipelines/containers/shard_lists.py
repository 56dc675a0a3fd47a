"""The shards of a corpus: the files under a file, a folder or a glob, on this machine or in a bucket.

A shard is named by its path with a `/./` where the input ends: `/data/cc3m/./train/00000.tar`. Such a path opens as it
is, and says what the shard is called within the corpus (`train/00000.tar`): documents are known by that name, so that
their keys, and all that hangs on them, stay the same when the corpus moves.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from etils import epath

from data_pipelines import inputs
from data_pipelines.output import BuildError

_MARK = "/./"
_MAGIC = re.compile(r"[*?[]")
_COMPRESSED_TARS = (".tgz", ".tbz2", ".txz", ".tzst", *(f".tar.{name}" for name in ("gz", "bz2", "xz", "zst", "lz4")))


def join(base: str, name: str) -> str:
    """The shard called `name` (with forward slashes; "" is the folder itself) below the folder `base`."""
    return f"{base}{_MARK}{name}"


def split(shard: str) -> tuple[str, str]:
    """(path, name) of a shard; the name of a plain path is that of its file."""
    base, mark, name = shard.rpartition(_MARK)
    if not mark:
        return shard, epath.Path(shard).name
    return (f"{base}/{name}" if name else base), name


def files(root: str) -> tuple[str, list[str]]:
    """The files that an input names.

    Args:
      root: a file, a folder (with all below it, links to folders not followed), or a glob of files and folders.

    Returns:
      (a folder, the files below it as relative paths with forward slashes, in the order of their names).

    Raises:
      BuildError: there is none, or a link in a folder leads out of it.
    """
    path = epath.Path(root)
    if path.is_dir():
        found = _below(path)
    elif path.exists():
        return str(path.parent), [path.name]
    elif _MAGIC.search(root):
        return _matches(path, root)
    else:
        raise BuildError(f"--input {root} does not exist")
    if not found:
        raise BuildError(f"--input {root} is an empty folder")
    return str(path), sorted(found)


def find(root: str, suffixes: Sequence[str], what: str) -> list[str]:
    """The shards under `root` whose names end in one of `suffixes`, sorted.

    Raises:
      BuildError: there is none; `what` says what was expected.
    """
    base, names = files(root)
    found = [name for name in names if name.lower().endswith(tuple(suffixes))]
    if not found:
        raise BuildError(f"--input {root} has no {what}: no file ends in {', '.join(suffixes)}")
    return [join(base, name) for name in found]


def refuse_compressed_tars(root: str, names: Sequence[str] | None = None) -> None:
    """Raises a BuildError that says what to do if a tar under `root` is compressed as a whole.

    Args:
      root: the input.
      names: its files, if they are listed already.
    """
    names = files(root)[1] if names is None else names
    compressed = [name for name in names if name.lower().endswith(_COMPRESSED_TARS)]
    if compressed:
        raise BuildError(
            f"--input {root} has {len(compressed)} compressed tars, such as {compressed[0]}: an image within one could "
            "only be read by unpacking all that stands before it. Uncompress them first (`gunzip *.tar.gz`); images "
            "hardly get larger by it"
        )


def _below(folder: epath.Path) -> list[str]:
    found = []
    top = str(folder).partition("://")[2] or str(folder)
    for parent, _, names in folder.walk():
        below = (
            (str(parent).partition("://")[2] or str(parent)).removeprefix(top).strip("/")
        )  # buckets lose their scheme
        for name in names:
            file = f"{below}/{name}" if below else name
            if _leads_out(folder, folder / file):
                raise BuildError(
                    f"{folder / file} is a link that leads out of --input {folder}; if it is meant, name it by a glob, "
                    f"such as {folder}/*"
                )
            found.append(file)
    return found


def _leads_out(folder: epath.Path, file: epath.Path) -> bool:
    return "://" not in str(folder) and Path(file).is_symlink() and not inputs.is_inside(Path(folder), Path(file))


def _matches(path: epath.Path, root: str) -> tuple[str, list[str]]:
    """The files that a glob matches, and those below the folders that it matches."""
    if "**" in root:
        raise BuildError(f"--input {root}: ** is not known; name the folder, all below it is read")
    fixed = next(index for index, part in enumerate(path.parts) if _MAGIC.search(part))
    base = epath.Path(*path.parts[:fixed])
    if "://" in root and fixed < 3:  # "/", the scheme, the bucket
        raise BuildError(f"--input {root}: a glob must begin after the bucket's name")
    found: set[str] = set()
    for match in base.glob("/".join(path.parts[fixed:])):
        prefix = match.relative_to(base).as_posix()
        found.update(f"{prefix}/{name}" for name in _below(match)) if match.is_dir() else found.add(prefix)
    if not found:
        raise BuildError(f"--input {root}: nothing matches the glob")
    return str(base), sorted(found)
