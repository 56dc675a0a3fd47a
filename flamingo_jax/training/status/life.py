"""Whether a run is alive: what its lease, its events and the age of its last line say."""

import dataclasses
import json
from typing import Any

from etils import epath

from flamingo_jax.html import figures
from flamingo_jax.training.history import History
from flamingo_jax.training.lease_claim import Claim

RUNNING, STOPPED, FINISHED, DIED, NEW = "running", "stopped", "finished", "died", "not started"

_STOPS = ("stop", "stopped")
_LIFE = ("start", *_STOPS, "end")
_LATE = 3.0  # timeouts without a renewal that can be read here: clocks differ, and stores are slow
_TIMEOUT = 60.0  # of a lease that does not tell its own
_QUIET = 300.0  # seconds without a line, and times the usual between two, that are worth a word
_QUIET_TIMES = 20.0


@dataclasses.dataclass(frozen=True)
class Lease:
    """Who holds the workdir.

    Attributes:
      holder: in words.
      age: seconds since it was last renewed; None if the store does not say.
      timeout: seconds after which one that is not renewed belongs to nobody.
      dead: whether its holder is surely gone.
    """

    holder: str
    age: float | None
    timeout: float
    dead: bool


@dataclasses.dataclass(frozen=True)
class Life:
    """The state of a run, and in a few words why it is thought so."""

    state: str
    why: str


def read_lease(path: epath.Path, now: float) -> Lease | None:
    """The lease at `path`, whatever of it can be read; None if there is none."""
    try:
        text = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    claim = Claim.parse(text)
    content = _object(text)
    pid, host = content.get("pid", "?"), content.get("host", "an unknown machine")
    timeout = figures.finite(content.get("timeout")) or _TIMEOUT
    return Lease(f"process {pid} on {host}", _age(path, now), timeout, claim is not None and claim.is_dead())


def life(history: History, steps: int | None, lease: Lease | None, now: float) -> Life:
    """Judges a run.

    Args:
      steps: of the whole run, if known.
      lease: of its workdir.
      now: seconds since 1970.
    """
    times = [record.time for record in history.records if record.time is not None]
    quiet = now - max(times) if times else None
    alive = _alive(lease, quiet)
    if lease is not None and alive:
        return Life(RUNNING, f"{lease.holder}{_silence(history, quiet)}")
    last = next((event for event in reversed(history.events) if event.event in _LIFE), None)
    lines = history.lines
    if (last is not None and last.event == "end") or (steps and lines and lines[-1].step >= steps):
        return Life(FINISHED, f"{figures.duration(quiet)} ago" if quiet is not None else "")
    if lease is not None:
        since = f" for {figures.duration(lease.age)}" if lease.age is not None else ""
        gone = "is gone" if lease.dead else f"has given no sign{since}"
        return Life(DIED, f"{lease.holder} {gone}")
    if last is not None and last.event in _STOPS:
        return Life(STOPPED, str(last.values.get("reason", "")))
    if not history.records:
        return Life(NEW, "nothing was logged yet")
    return Life(DIED, "it ended without a word: see its output")


def _alive(lease: Lease | None, quiet: float | None) -> bool:
    if lease is None or lease.dead:
        return False
    age = lease.age if lease.age is not None else quiet
    return age is not None and age < _LATE * lease.timeout


def _silence(history: History, quiet: float | None) -> str:
    """A word about a run that lives, but logs nothing."""
    lines = [line for line in history.lines if line.time is not None][-20:]
    if quiet is None or not lines:
        return "; no step is logged yet"
    usual = (lines[-1].time - lines[0].time) / (len(lines) - 1) if len(lines) > 1 else 0.0
    if quiet < max(_QUIET, _QUIET_TIMES * usual):
        return ""
    return f"; nothing was logged for {figures.duration(quiet)}: it compiles, saves or hangs"


def _age(path: epath.Path, now: float) -> float | None:
    try:
        changed = path.stat().mtime
    except Exception:  # stores raise nearly anything where they do not know the time
        return None
    return max(0.0, now - changed) if changed else None


def _object(text: bytes) -> dict[str, Any]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}
