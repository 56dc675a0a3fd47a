"""Where the wall time of a run went, over all its restarts."""

import dataclasses
from collections.abc import Sequence

from flamingo_jax.training.history import Record

DOWN, GIVEN_UP = "down", "given_up"


@dataclasses.dataclass(frozen=True)
class Spent:
    """Of a run, from its first start to its last line.

    Attributes:
      seconds: of wall time.
      lost: reason -> seconds that were of no use: what the processes booked ("setup", "save", "data", ...), "down"
        between two of them, and "given_up": updates after the checkpoint that a killed run was resumed from.
    """

    seconds: float
    lost: dict[str, float]

    @property
    def goodput(self) -> float:
        """The share of the time that went into updates that count."""
        return max(0.0, 1 - sum(self.lost.values()) / self.seconds)


@dataclasses.dataclass
class _Session:
    """What one process wrote, from its event "start" on."""

    begun: float
    ended: float
    lines: list[Record] = dataclasses.field(default_factory=list)

    def lost(self) -> dict[str, float]:
        """Seconds by reason, by its last line; a session that logged no step was all setup."""
        if not self.lines:
            return {"setup": self.ended - self.begun}
        shares = {
            name.removeprefix("badput/"): value
            for name in self.lines[-1].values
            if name.startswith("badput/") and (value := self.lines[-1].number(name)) is not None
        }
        return {name: share * (self.ended - self.begun) for name, share in shares.items()}

    def given_up(self, step: int) -> float:
        """Seconds of the updates after `step`, at most what went into useful ones."""
        updates, before = 0.0, step
        for line in self.lines:
            if line.step > before:
                updates += (line.step - before) * (line.number("step_seconds") or 0.0)
                before = line.step
            elif line.step < before and line.step > step:
                before = line.step  # after a rollback: those were booked
        return min(updates, self.ended - self.begun - sum(self.lost().values()))


def spent(records: Sequence[Record]) -> Spent | None:
    """Adds up a run's sessions; None if its lines do not tell the time, or there are none.

    Shares are those of the last line of each session, taken for all of its time.
    """
    sessions: list[_Session] = []
    lost: dict[str, float] = {}

    def lose(reason: str, seconds: float) -> None:
        if seconds > 0:
            lost[reason] = lost.get(reason, 0.0) + seconds

    for record in records:
        if record.time is None:
            continue
        if record.event == "start" or not sessions:
            begun = record.time - (record.number("seconds") or 0.0)  # it was at work before it could say so
            begun = min(max([begun, *(session.ended for session in sessions[-1:])]), record.time)
            sessions.append(_Session(begun, record.time))
        session = sessions[-1]
        session.ended = max(session.ended, record.time)
        if not record.event:
            session.lines.append(record)
        elif record.event == "resume" and len(sessions) > 1:
            lose(GIVEN_UP, sessions[-2].given_up(record.step))
    for place, session in enumerate(sessions):
        for reason, seconds in session.lost().items():
            lose(reason, seconds)
        if place:
            lose(DOWN, session.begun - sessions[place - 1].ended)
    if not sessions or sessions[-1].ended <= sessions[0].begun:
        return None
    return Spent(sessions[-1].ended - sessions[0].begun, lost)
