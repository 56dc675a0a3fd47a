"""`metrics.jsonl` as columns: one value per series and logged step, NaN where there is none."""

import dataclasses
import json
from typing import Any

import numpy as np
from etils import epath

from flamingo_jax.html.figures import finite


@dataclasses.dataclass(frozen=True)
class MetricsLog:
    """What a run logged.

    Attributes:
      steps: int64 [n], ascending, each step once.
      columns: series name -> float64 [n]; NaN where the step has no (finite) value.
      resumes: the steps at which the run was resumed, ascending.
    """

    steps: np.ndarray
    columns: dict[str, np.ndarray]
    resumes: tuple[int, ...]

    def family(self, prefix: str) -> dict[str, np.ndarray]:
        """The series below `prefix`, by the rest of their names, in the order in which the run first logged them."""
        return {name.removeprefix(prefix): column for name, column in self.columns.items() if name.startswith(prefix)}


def read_metrics(path: epath.Path, notes: list[str]) -> MetricsLog:
    """Reads `path`, one JSON object a line; lines that are none are skipped, and `notes` says so.

    A later value of the same step and series wins. A resume at step n drops what stood after n: the run took up the
    state of step n, so what it had logged beyond belongs to a branch that was given up.
    """
    rows: dict[int, dict[str, float]] = {}
    names: dict[str, None] = {}
    resumes: set[int] = set()
    malformed: list[int] = []
    with path.open("rb") as lines:
        for line_number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            record = _parse(line)
            step = _step(record)
            if step is None:
                malformed.append(line_number)
            elif record.get("event") == "resume":
                resumes.add(step)
                for later in [known for known in rows if known > step]:
                    del rows[later]
            elif "event" not in record:
                values = {str(key): finite(value) for key, value in record.items() if key != "step"}
                names.update(dict.fromkeys(key for key, value in values.items() if value is not None))
                rows.setdefault(step, {}).update(
                    {key: np.nan if value is None else value for key, value in values.items()}
                )
    if malformed:
        lines_word = "line that is" if len(malformed) == 1 else "lines that are"
        listed = ", ".join(map(str, malformed[:5])) + (", …" if len(malformed) > 5 else "")
        notes.append(
            f"{path.name}: skipped {len(malformed)} {lines_word} not a JSON object with a step (line {listed}). "
            "A process that was killed while it wrote leaves such a line."
        )
    steps = np.array(sorted(rows), dtype=np.int64)
    columns = {name: np.array([rows[step].get(name, np.nan) for step in steps.tolist()], float) for name in names}
    return MetricsLog(steps, columns, tuple(sorted(resumes)))


def _parse(line: bytes) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return record if isinstance(record, dict) else {}


def _step(record: dict[str, Any]) -> int | None:
    step = finite(record.get("step"))
    return int(step) if step is not None and step.is_integer() and 0 <= step < 2**53 else None
