"""What a run has written into `metrics.jsonl`, read leniently: lines, events, and what was given up."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any

from etils import epath

from flamingo_jax.html.figures import finite


@dataclasses.dataclass(frozen=True)
class Record:
    """One line of the file.

    Attributes:
      step: that it is of.
      time: seconds since 1970; None if it does not say.
      event: its name; empty for the metrics of a step.
      values: everything else that it holds.
    """

    step: int
    time: float | None
    event: str
    values: Mapping[str, Any]

    def number(self, name: str) -> float | None:
        """A value, if it is a finite number."""
        return finite(self.values.get(name))

    @property
    def goes_back_to(self) -> int | None:
        """The step after which everything that was written before is given up: of a resume and a rollback."""
        if self.event == "resume":
            return self.step
        to = self.number("to") if self.event == "rollback" else None
        return None if to is None else int(to)


@dataclasses.dataclass(frozen=True)
class History:
    """A run's file.

    Attributes:
      records: all of it, in order.
      malformed: the numbers, from 1, of lines that could not be read: a process that is killed leaves such a one.
    """

    records: Sequence[Record]
    malformed: Sequence[int] = ()

    @property
    def events(self) -> list[Record]:
        """The events, in order."""
        return [record for record in self.records if record.event]

    @property
    def lines(self) -> list[Record]:
        """The metrics of steps, ascending, without those that were given up; each step once, with its latest values."""
        kept: dict[int, Record] = {}
        for record in self.records:
            to = record.goes_back_to
            if to is not None:
                kept = {step: line for step, line in kept.items() if step <= to}
            elif not record.event:
                before = kept[record.step].values if record.step in kept else {}
                kept[record.step] = dataclasses.replace(record, values={**before, **record.values})
        return [kept[step] for step in sorted(kept)]


def read_history(path: epath.Path) -> History:
    """Reads a `metrics.jsonl`; one that is not there is empty.

    Raises:
      OSError: it cannot be read.
    """
    if not path.exists():
        return History(())
    lines = {number: line for number, line in enumerate(path.read_bytes().splitlines(), start=1) if line.strip()}
    found = {number: _record(line) for number, line in lines.items()}
    records = [record for record in found.values() if record is not None]
    return History(records, tuple(number for number, record in found.items() if record is None))


def data_steps(update: int, records: Sequence[Record]) -> list[int]:
    """The data steps that a run's update was, or will be, made of.

    Args:
      update: its number as it is logged, from 1.
      records: of the run.

    Returns:
      First the one of the run as it went on; then those of updates of this number that were given up by a rollback or a
      resume, the latest first.
    """
    starts = [(1, 0)]  # (update, data step): from that update on, both go up together
    reached, given_up = 0, []
    for record in records:
        to = record.goes_back_to
        reached = max(reached, record.step)
        if to is None:
            continue
        if to < update <= reached:
            given_up.append(_data_step(update, starts))
        # A resumed run has the position that its checkpoint was saved with, whatever was skipped after that.
        starts = [start for start in starts if start[0] <= to] or [(1, 0)]
        first = record.number("data_step")
        if first is not None:
            starts = [start for start in starts if start[0] != to + 1] + [(to + 1, int(first))]
        reached = to
    return list(dict.fromkeys([_data_step(update, starts), *reversed(given_up)]))


def _data_step(update: int, starts: Sequence[tuple[int, int]]) -> int:
    first, data_step = max(start for start in starts if start[0] <= update)
    return data_step + update - first


def _record(line: bytes) -> Record | None:
    try:
        content = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(content, dict):
        return None
    step, event = finite(content.pop("step", None)), content.pop("event", "")
    if step is None or not step.is_integer() or not 0 <= step < 2**53 or not isinstance(event, str):
        return None
    return Record(int(step), finite(content.pop("time", None)), event, content)
