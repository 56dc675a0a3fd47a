"""The files of a benchmark's release: what must lie where, where it comes from, and what of it is missing."""

import dataclasses
import posixpath
from collections.abc import Sequence
from typing import Protocol, TypeVar

from etils import epath

from flamingo_jax.config import ConfigError

_ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz")


@dataclasses.dataclass(frozen=True)
class ReleaseFile:
    """A file or a folder of a release.

    Attributes:
      path: below the benchmark's folder; a folder ends in "/".
      release: what it is and where its authors publish it, in words that a person finds it by.
      alternatives: further places below the benchmark's folder where it may be instead, such as those of another
        edition of the release; the first one there is taken.
      archive: the name of the file that it is unpacked from, where that is not its own with an ending such as ".zip".
    """

    path: str
    release: str
    alternatives: tuple[str, ...] = ()
    archive: str = ""


class _File(Protocol):
    @property
    def path(self) -> str:
        """Where it is."""


class _Shown(Protocol):
    """An item, as far as this module knows it."""

    @property
    def medium(self) -> _File:
        """What is shown."""


Item = TypeVar("Item", bound=_Shown)


def locate(folder: epath.Path, file: ReleaseFile) -> epath.Path:
    """Where the file is: the first of its places at which it is there and not empty; its `path` where it is at none."""
    places = (file.path, *file.alternatives)
    return folder / next((place for place in places if _is_there(folder, place)), file.path)


def is_whole(folder: epath.Path, files: Sequence[ReleaseFile]) -> bool:
    """Whether all of the files are there, each at one of its places and not empty."""
    return all(any(_is_there(folder, place) for place in (file.path, *file.alternatives)) for file in files)


def require(folder: epath.Path, files: Sequence[ReleaseFile], title: str) -> None:
    """Checks that the files are there: folders not empty, files not of 0 bytes.

    Raises:
      ConfigError: some are not; the message says for each which release it is from and where it goes.
    """
    if not folder.is_dir():
        listed = "".join(f"\n  {file.path}: {file.release}" for file in files)
        raise ConfigError(f"{title}: there is no folder {folder}. It is to have these files of the release:{listed}")
    missing = []
    for file in files:
        if not is_whole(folder, (file,)):
            other = f" (or as {' or as '.join(file.alternatives)})" if file.alternatives else ""
            packed = [file.archive] if file.archive else [f"{file.path.rstrip('/')}{ending}" for ending in _ARCHIVES]
            hint = "".join(f"; {name} is there: unpack it" for name in packed if (folder / name).exists())
            missing.append(f"\n  {folder / file.path}{other}: {file.release}{hint}")
    if missing:
        raise ConfigError(
            f"{title}: {len(missing)} of {len(files)} files of the release are missing:{''.join(missing)}"
        )


def check_media(items: Sequence[Item], title: str, partial: bool = False) -> Sequence[Item]:
    """Checks that the pictures and clips of the items are there, by one listing of each folder that they are in.

    Args:
      items: of a split.
      title: of the benchmark.
      partial: whether items whose medium is missing are to be left out (clips that have gone from the web).

    Returns:
      The items whose medium is there: all of them unless `partial`.

    Raises:
      ConfigError: media are missing and `partial` is false, or none at all is there.
    """
    folders: dict[str, frozenset[str]] = {}
    found, missing = [], []
    for item in items:
        parent, name = posixpath.split(item.medium.path)
        if parent not in folders:
            path = epath.Path(parent)
            folders[parent] = frozenset(entry.name for entry in path.iterdir()) if path.is_dir() else frozenset()
        (found if name in folders[parent] else missing).append(item)
    if missing and not (partial and found):
        files = list(dict.fromkeys(item.medium.path for item in missing))
        listed = "".join(f"\n  {file}" for file in files[:5]) + ("\n  ..." if len(files) > 5 else "")
        raise ConfigError(
            f"{title}: {len(files):,} pictures or clips, of {len(missing):,} of {len(items):,} items, are not there. "
            f"Was a download or unpacking cut short? The first ones:{listed}"
        )
    return found if missing else items


def _is_there(folder: epath.Path, place: str) -> bool:
    path = folder / place
    if place.endswith("/"):
        return path.is_dir() and any(True for _ in path.iterdir())
    return path.is_file() and path.stat().length > 0
