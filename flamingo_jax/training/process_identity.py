"""Which process this is, so that another one on the same machine can tell for sure that it is dead.

All of it is read from Linux's /proc (proc(5), namespaces(7)). Other systems tell nothing, and nothing is sure there.
"""

import os
from pathlib import Path
from typing import Any

_PROC = Path("/proc")
_ENDED = ("Z", "X")  # states of a process that runs no more, but that its parent has not asked about
_FIRST = 3  # number of the field that comes after the name, which may hold blanks and brackets itself
_START_TIME = 22  # "starttime": clock ticks between the boot and the process's start


def identity() -> dict[str, Any]:
    """Of this process: what must be equal for its number to mean the same thing, and its start time.

    Returns:
      A dict for JSON: `boot` (of this start of the machine), `namespaces` (of process numbers and of time), `started`
      (clock ticks after the boot). Empty where the system does not tell.
    """
    try:
        return _place() | {"started": _status(os.getpid())[1]}
    except (OSError, ValueError, IndexError):
        return {}


def surely_dead(number: int, identity: dict[str, Any]) -> bool:
    """Whether the process of this number and identity runs no more; False if that cannot be known from here."""
    try:
        place = _place()
        if any(identity.get(key) != value for key, value in place.items()):
            return False
        os.kill(number, 0)
        state, started = _status(number)
    except ProcessLookupError:
        return True
    except (OSError, ValueError, IndexError, TypeError, OverflowError):
        return False  # another user's process in a /proc that hides those, for one
    return state in _ENDED or started != identity.get("started")


def _place() -> dict[str, Any]:
    links = [_PROC / "self/ns/pid", *(_PROC / "self/ns").glob("time")]  # Linux before 5.6 has one time for all
    boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
    return {"boot": boot, "namespaces": [str(link.readlink()) for link in links]}


def _status(number: int) -> tuple[str, int]:
    """The state's letter and the start time."""
    fields = (_PROC / str(number) / "stat").read_bytes().rpartition(b")")[2].split()
    return fields[0].decode(), int(fields[_START_TIME - _FIRST])
