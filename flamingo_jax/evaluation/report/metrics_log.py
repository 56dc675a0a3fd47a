"""`metrics.jsonl` as columns: one value per series and logged step, NaN where there is none."""

import dataclasses

import numpy as np
from etils import epath

from flamingo_jax.training.history import read_history
from flamingo_jax.training.status.spent import Spent, spent


@dataclasses.dataclass(frozen=True)
class MetricsLog:
    """What a run logged.

    Attributes:
      steps: int64 [n], ascending, each step once.
      columns: series name -> float64 [n]; NaN where the step has no (finite) value.
      resumes: the steps at which the run was resumed, ascending.
      rollbacks: the steps that it went back to by itself, ascending.
      spent: where its time went; None if the lines do not tell.
    """

    steps: np.ndarray
    columns: dict[str, np.ndarray]
    resumes: tuple[int, ...]
    rollbacks: tuple[int, ...] = ()
    spent: Spent | None = None

    @property
    def turns(self) -> tuple[int, ...]:
        """The steps at which the run took up an earlier state."""
        return tuple(sorted({*self.resumes, *self.rollbacks}))

    def family(self, prefix: str) -> dict[str, np.ndarray]:
        """The series below `prefix`, by the rest of their names, in the order in which the run first logged them."""
        return {name.removeprefix(prefix): column for name, column in self.columns.items() if name.startswith(prefix)}


def read_metrics(path: epath.Path, notes: list[str]) -> MetricsLog:
    """Reads `path`, one JSON object a line; lines that are none are skipped, and `notes` says so.

    A later value of the same step and series wins. A resume at step n, or a rollback to it, drops what stood after n:
    the run took up the state of step n, so what it had logged beyond belongs to a branch that was given up.
    """
    history = read_history(path)
    if malformed := history.malformed:
        lines_word = "line that is" if len(malformed) == 1 else "lines that are"
        listed = ", ".join(map(str, malformed[:5])) + (", …" if len(malformed) > 5 else "")
        notes.append(
            f"{path.name}: skipped {len(malformed)} {lines_word} not a JSON object with a step (line {listed}). "
            "A process that was killed while it wrote leaves such a line."
        )
    lines, back = history.lines, {"resume": set(), "rollback": set()}
    for event in history.events:
        if event.goes_back_to is not None:
            back[event.event].add(event.goes_back_to)
    written = [record for record in history.records if not record.event]
    names = dict.fromkeys(name for record in written for name in record.values if record.number(name) is not None)
    values = [{name: record.number(name) for name in record.values} for record in lines]
    columns = {
        name: np.array([np.nan if (value := row.get(name)) is None else value for row in values], float)
        for name in names
    }
    return MetricsLog(
        np.array([record.step for record in lines], dtype=np.int64),
        columns,
        tuple(sorted(back["resume"])),
        tuple(sorted(back["rollback"])),
        spent(history.records),
    )
