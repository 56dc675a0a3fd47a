"""Where a build goes: it appears under its name when it is complete, and a finished one is not built again."""

import contextlib
import json
import os
import re
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path

from etils import epath

REPORT = "drops.json"
_NAME = re.compile(r"[a-z][a-z0-9_]*")


class BuildError(Exception):
    """What the user has to hear: the message says what is wrong, where, and what to do."""


def existing_report(folder: epath.Path, name: str) -> dict | None:
    """The report of the dataset that stands under `folder/name`, or None if nothing stands there.

    Raises:
      BuildError: the name cannot be one, or what stands there is not a dataset of ours (which is never replaced).
    """
    if not _NAME.fullmatch(name):
        raise BuildError(f"--name {name!r}: use lower-case letters, digits and underscores, a letter first")
    final = epath.Path(folder) / name
    if not final.exists():
        return None
    try:
        report = json.loads((final / REPORT).read_text())
        dict(report["identity"])
    except (OSError, ValueError, KeyError, TypeError):
        raise BuildError(f"{final} exists and is not a dataset of this program; choose another --output") from None
    return report


def check_same(final: epath.Path, report: Mapping, identity: Mapping) -> None:
    """Checks that a finished dataset is made of what is asked for.

    Args:
      final: the dataset's folder, for the message.
      report: its report.
      identity: JSON values that tell the input and the settings.

    Raises:
      BuildError: it is not; names what differs.
    """
    made_of = report["identity"]
    differing = sorted(key for key in {*identity, *made_of} if identity.get(key) != made_of.get(key))
    if differing:
        raise BuildError(
            f"{final} was built with other values of {' and '.join(differing)}; choose another --output or --name, "
            "or pass --overwrite to replace it"
        )


@contextlib.contextmanager
def staging(folder: epath.Path, name: str) -> Iterator[epath.Path]:
    """A temporary folder beside the final place; on success its subfolder `name` becomes `folder/name`.

    A dataset that stands there is replaced. On failure nothing is left; what a killed build has left on this machine is
    removed by the next one.
    """
    folder = epath.Path(folder)
    is_new = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    prefix = f".{name}.incomplete-{socket.gethostname()}-"
    for left in folder.glob(f"{prefix}*"):
        if not _is_running(left.name.removeprefix(prefix)):
            left.rmtree()
    temporary = folder / f"{prefix}{os.getpid()}"
    temporary.mkdir()
    try:
        yield temporary
        _replace(temporary / name, folder / name, temporary / "replaced")
    finally:
        temporary.rmtree(missing_ok=True)
        if is_new and not any(folder.iterdir()):
            folder.rmdir()


def _replace(new: epath.Path, final: epath.Path, aside: epath.Path) -> None:
    """Renames `new` to `final`; what stood there goes to `aside`, and back if the second renaming fails."""
    if not final.exists():
        new.rename(final)
        return
    final.rename(aside)
    try:
        new.rename(final)
    except OSError:
        aside.rename(final)
        raise


def check_apart(source: str | Path, output: str) -> None:
    """Refuses an output folder inside the input folder: the next build would read it.

    Raises:
      BuildError: it is inside.
    """
    if "://" not in output and Path(source).is_dir() and Path(output).resolve().is_relative_to(Path(source).resolve()):
        raise BuildError(f"--output {output} lies inside --input {source}; choose a folder outside it")


def _is_running(pid: str) -> bool:
    if not pid.isdigit():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return int(pid) != os.getpid()
