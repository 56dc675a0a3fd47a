"""A summary as text for the terminal: one's own figures, and beside them what others have published."""

from collections.abc import Mapping
from typing import Any

from flamingo_jax.evaluation import published
from flamingo_jax.evaluation.fewshot.config import RICES


def table(summary: Mapping[str, Any]) -> str:
    """A line for each way of choosing examples, and one for the model that sees no image."""
    lines = [f"{summary['metric']}, split {summary['split']}, {summary['items']:,} items"]
    if summary["missing"]:
        lines[0] += f" ({summary['missing']:,} items of the release are left out: their files are missing)"
    lines += summary["notes"]
    rows: dict[str, dict[int, published.Own]] = {}
    for found in summary["results"]:
        name = "this run, RICES" if found["selection"] == RICES else "this run"
        rows.setdefault(name, {})[found["shots"]] = (found["value"], found["low"], found["high"])
    for found in summary["baselines"]:
        rows.setdefault(f"this run, {found['name']}", {})[found["shots"]] = (
            found["value"],
            found["low"],
            found["high"],
        )
    if not rows:
        return f"{lines[0]}\nThe references of this split are kept back: hand in the files in server/."
    (label, own), *others = rows.items()
    figures = published.table(summary["benchmark"], own, title=summary["title"], label=label, others=dict(others))
    return "\n".join([*lines, figures])
