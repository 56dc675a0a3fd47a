"""What a run left behind, read leniently: a report on a broken run is worth more than no report."""

import dataclasses
import json
from collections.abc import Sequence
from typing import Any

from etils import epath

from flamingo_jax.evaluation.report.metrics_log import MetricsLog, read_metrics


@dataclasses.dataclass(frozen=True)
class Inputs:
    """The inputs of a report; None (or empty) where there are none.

    Attributes:
      workdir: where the run lives; image paths are relative to it.
      metrics: the logged steps.
      config: the resolved configuration, nested.
      summary: the run's figures by name.
      heldout: the held-out examples and the accuracies.
      few_shot: per few-shot evaluation, its page of examples (relative to the report) and its summary.
      corpora: per `drops.json`, its content.
      notes: what could not be read, in sentences.
    """

    workdir: epath.Path
    metrics: MetricsLog | None
    config: dict[str, Any] | None
    summary: dict[str, Any] | None
    heldout: dict[str, Any] | None
    few_shot: tuple[tuple[str, dict[str, Any]], ...]
    corpora: tuple[dict[str, Any], ...]
    notes: list[str]


def read_inputs(workdir: epath.Path, corpora: Sequence[epath.PathLike]) -> Inputs:
    """Reads the files of `workdir`, and the `drops.json` files `corpora` (without any, those of the report before).

    Raises:
      FileNotFoundError: `workdir` is not a directory.
    """
    if not workdir.is_dir():
        raise FileNotFoundError(f"no run to report on: {workdir} is not a directory; give the --workdir of the run")
    notes: list[str] = []
    metrics = None
    metrics_path = workdir / "metrics.jsonl"
    if metrics_path.exists():
        try:
            metrics = read_metrics(metrics_path, notes)
        except OSError as error:
            notes.append(f"metrics.jsonl could not be read: {error}")
    heldout = _read_object(workdir / "heldout.json", notes)
    before = (heldout or {}).get("corpora")
    drops = []
    for path in map(epath.Path, corpora or (before if isinstance(before, list) else ())):
        if not path.exists():
            notes.append(f"{path}: there is no such file, so this corpus is missing from the report.")
        elif (content := _read_object(path, notes)) is not None:
            drops.append(content)
    return Inputs(
        workdir=workdir,
        metrics=metrics,
        config=_read_object(workdir / "config.json", notes),
        summary=_read_object(workdir / "summary.json", notes),
        heldout=heldout,
        few_shot=_few_shot(workdir, notes),
        corpora=tuple(drops),
        notes=notes,
    )


def _few_shot(workdir: epath.Path, notes: list[str]) -> tuple[tuple[str, dict[str, Any]], ...]:
    """Of each evaluation below `evaluations/`, by benchmark, the newest checkpoint's last."""
    found = []
    for path in sorted(workdir.glob("evaluations/*/*/summary.json"), key=str):
        if (content := _read_object(path, notes)) is not None:
            found.append(("/".join((*path.parent.parts[-3:], "examples.html")), content))
    return tuple(found)


def _read_object(path: epath.Path, notes: list[str]) -> dict[str, Any] | None:
    try:
        if not path.exists():
            return None
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        notes.append(f"{path.name} could not be read and is left out: {error}")
        return None
    if not isinstance(content, dict):
        notes.append(f"{path.name} is left out: it holds a {type(content).__name__}, not an object.")
        return None
    return content
