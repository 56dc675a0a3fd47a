"""Goodput: the share of a process's wall time that went into updates which count."""

import contextlib
import time
from collections.abc import Callable, Iterator

SETUP, STEP = "setup", "step"


class Goodput:
    """Where the wall time goes, from the making of this object on.

    Time inside `phase(name)` is lost to that name. All other time is "setup" until `begin` is called and "step" from
    then on; `lose` takes off what turned out to be of no use. For one thread.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        """
        Args:
          clock: seconds, never going back.
        """
        self._clock = clock
        self._spent: dict[str, float] = {SETUP: 0.0, STEP: 0.0}
        self._open = [SETUP]  # what the time goes to, innermost last; the first one is that of no phase
        self._since = clock()
        self._stepping = 0.0
        self._noted: dict[int, float] = {}

    def begin(self) -> None:
        """From now on, time in no phase is that of updates."""
        self._settle()
        self._open[0] = STEP

    @contextlib.contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Everything inside is lost to `name`: "restore", "compile", "save", ... A phase within takes its own."""
        self._settle()
        self._open.append(name)
        try:
            yield
        finally:
            self._settle()
            self._open.pop()

    @property
    def stepping(self) -> float:
        """Seconds in no phase since `begin`, whatever they were worth."""
        self._settle()
        return self._stepping

    def lose(self, seconds: float, reason: str) -> None:
        """Moves time from "step", as far as there is any, to `reason`: "data", "skipped", ..."""
        self._settle()
        moved = min(seconds, self._spent[STEP])
        if moved > 0:
            self._spent[STEP] -= moved
            self._spent[reason] = self._spent.get(reason, 0.0) + moved

    def note(self, step: int) -> None:
        """Remembers that update `step` is done and saved: `lose_since` may go back to it."""
        self._settle()
        self._noted[step] = self._spent[STEP]

    def lose_since(self, step: int, reason: str) -> None:
        """Moves what went into updates since `note(step)` to `reason`; if it was not noted, all since `begin`."""
        self._settle()
        self.lose(self._spent[STEP] - self._noted.get(step, 0.0), reason)
        self._noted = {noted: seconds for noted, seconds in self._noted.items() if noted <= step}

    def seconds(self) -> dict[str, float]:
        """Seconds so far by "step", "setup" and every other phase and reason that there was."""
        self._settle()
        return dict(self._spent)

    def shares(self) -> dict[str, float]:
        """Shares of all the time so far, which add up to 1: "goodput" of updates, "badput/<reason>" of all else."""
        spent = self.seconds()
        total = sum(spent.values())
        if total <= 0:
            return {"goodput": 1.0}
        lost = {f"badput/{name}": seconds / total for name, seconds in spent.items() if name != STEP and seconds > 0}
        return {"goodput": spent[STEP] / total} | lost

    def _settle(self) -> None:
        """Books the time since the last booking."""
        now = self._clock()
        name, elapsed = self._open[-1], now - self._since
        self._since = now
        self._spent[name] = self._spent.get(name, 0.0) + elapsed
        if len(self._open) == 1 and name == STEP:
            self._stepping += elapsed
