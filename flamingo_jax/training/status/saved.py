"""The checkpoints in a workdir, by their names: nothing of them is read but when they were complete."""

import dataclasses
import json

from etils import epath

from flamingo_jax.html.figures import finite
from flamingo_jax.training.mirror import is_local

_COMMITTED = "commit_success.txt"  # Orbax's marker where nothing can be renamed; elsewhere names in use are complete
_METADATA = "_CHECKPOINT_METADATA"
_DATED = 3  # of the newest, the time is read


@dataclasses.dataclass(frozen=True)
class Saved:
    """One complete checkpoint; `time` in seconds since 1970, if known."""

    step: int
    time: float | None


def checkpoints(workdir: epath.Path) -> list[Saved]:
    """The complete ones, the newest first."""
    folder = workdir / "checkpoints"
    steps = sorted((int(name) for name in _names(folder) if name.isascii() and name.isdigit()), reverse=True)
    if not is_local(folder):
        steps = [step for step in steps if (folder / str(step) / _COMMITTED).exists()]
    return [Saved(step, _time(folder / str(step)) if place < _DATED else None) for place, step in enumerate(steps)]


def damaged(workdir: epath.Path) -> list[str]:
    """The names of those that were set aside."""
    return sorted(name for name in _names(workdir / "damaged") if not name.endswith(".txt"))


def _names(folder: epath.Path) -> list[str]:
    try:
        return [path.name for path in folder.iterdir()]
    except (FileNotFoundError, NotADirectoryError):
        return []


def _time(folder: epath.Path) -> float | None:
    try:
        nanoseconds = finite(json.loads((folder / _METADATA).read_bytes()).get("commit_timestamp_nsecs"))
        return nanoseconds / 1e9 if nanoseconds else folder.stat().mtime or None
    except Exception:  # stores raise nearly anything, and a checkpoint without a date is worth its line too
        return None
