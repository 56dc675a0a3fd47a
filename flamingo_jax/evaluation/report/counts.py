"""What a run counted, in figures beside its charts: time, tokens and images, and records that were replaced."""

import numpy as np

from flamingo_jax.evaluation.report.figure import figure
from flamingo_jax.evaluation.report.metrics_log import MetricsLog
from flamingo_jax.html import figures
from flamingo_jax.html.markup import Html, tag

_IN_WORDS = {
    "setup": "start",
    "down": "no process ran",
    "given_up": "after the checkpoint that was resumed from",
    "rolled_back": "updates that a rollback gave up",
    "skipped": "updates that were not applied",
    "data": "waiting for data",
    "save": "saving",
    "evaluate": "evaluating",
    "restore": "restoring",
    "compile": "compiling",
}


def time_spent(metrics: MetricsLog) -> Html:
    """Where the time went, over all restarts."""
    if metrics.spent is None:
        return Html("")
    lost = sorted(metrics.spent.lost.items(), key=lambda item: -item[1])
    rows = [("updates that count", figures.percent(metrics.spent.goodput))]
    rows += [(_IN_WORDS.get(name, name), figures.percent(seconds / metrics.spent.seconds)) for name, seconds in lost]
    whole = f"of {figures.duration(metrics.spent.seconds)} from the first start to the last line"
    return figure("Where the time went", whole, _rows(rows))


def seen(metrics: MetricsLog) -> Html:
    """Tokens and images that went into updates, by dataset."""
    rows = []
    for what in ("tokens", "images"):
        columns = {"all": metrics.columns.get(f"{what}_seen")} | metrics.family(f"{what}_seen/")
        for name, values in columns.items():
            if values is not None and np.isfinite(values).any():
                figure_, unit = figures.amount(float(values[np.isfinite(values)][-1]))
                rows.append((f"{what}, {name}", f"{figure_} {unit}".strip()))
    return figure("Seen", "that went into updates, without padding", _rows(rows)) if rows else Html("")


def replaced(metrics: MetricsLog) -> Html:
    """How many records of each dataset could not be used."""
    counts = {name: int(np.nansum(column)) for name, column in metrics.family("skipped/").items()}
    if not counts:
        return Html("")
    note = "Records that could not be decoded; another one took the place of each."
    note = note if any(counts.values()) else "Every record could be decoded: none had to be replaced."
    rows = _rows([(name, f"{value:,}") for name, value in counts.items()])
    return figure("Replaced records", "in the logged steps", rows, tag("p", note, class_="note"))


def _rows(rows: list[tuple[str, str]]) -> Html:
    return tag("dl", *(tag("div", tag("dt", name), tag("dd", value)) for name, value in rows), class_="counts")
