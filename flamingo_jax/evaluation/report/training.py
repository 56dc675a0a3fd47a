"""How the training went: losses per dataset, and what else the run logged, over steps."""

from collections.abc import Sequence

import numpy as np

from flamingo_jax.evaluation.report.charts import Frame, Line, line_chart, smoothing
from flamingo_jax.evaluation.report.counts import replaced, seen, time_spent
from flamingo_jax.evaluation.report.figure import figure
from flamingo_jax.evaluation.report.metrics_log import MetricsLog
from flamingo_jax.evaluation.report.scales import typical
from flamingo_jax.html import figures
from flamingo_jax.html.markup import Html, absent, details, section, table, tag

_COLOURS = 6  # --series-0 to --series-5 in the style sheet
_TABLE_ROWS = 12
_MOST_OTHERS = 24
# key, title, what it is, and whether outliers may leave the axis
_SINGLE = (
    ("loss", "Weighted sum of the losses", "nats", False),
    ("learning_rate", "Learning rate", "", False),
    ("grad_norm", "Gradient norm", "global, before clipping", True),
    ("tokens_per_second", "Throughput", "tokens a second", True),
    ("step_seconds", "Step time", "seconds", True),
    ("mfu", "MFU", "share of what the devices could do", True),
    ("data_wait", "Wait for data", "seconds a step", True),
)
# prefix, title, what it is
_FAMILIES = (
    ("grad_norm/", "Gradient norm by part", "before clipping"),
    ("update_norm/", "Update norm by part", "as applied, learning rate and all"),
)
_SHOWN_OTHERWISE = ("loss/", "gate/", "skipped/", "badput/", "tokens_seen", "images_seen", "goodput")


def training(metrics: MetricsLog | None) -> Html:
    """The section "Training"."""
    if metrics is None or not metrics.steps.size:
        return section("training", "Training", absent("There is no metrics.jsonl with logged steps."))
    losses = metrics.family("loss/")
    parts = [_losses(metrics, losses)] if losses else []
    charts = [
        *_singles(metrics, bool(losses)),
        *_families(metrics),
        time_spent(metrics),
        seen(metrics),
        replaced(metrics),
    ]
    parts += [tag("div", *charts, class_="grid-charts"), _others(metrics)]
    return section("training", "Training", *parts, lead=_lead(metrics))


def _lead(metrics: MetricsLog) -> str:
    steps = metrics.steps
    lead = f"{len(steps):,} logged steps, from {int(steps[0]):,} to {int(steps[-1]):,}."
    sigma = smoothing(len(steps))
    if sigma:
        lead += (
            f" Faint lines are the logged values, strong ones their Gaussian average (σ = {sigma:.1f} logged steps)."
        )
    turns = (("resumed at", metrics.resumes), ("went back to", metrics.rollbacks))
    told = [f"{what} step {_listed(steps)}" for what, steps in turns if steps]
    return lead + (f" Dashed vertical lines: {'; '.join(told)}." if told else "")


def _listed(steps: Sequence[int]) -> str:
    return ", ".join(f"{step:,}" for step in steps[:8]) + (", …" if len(steps) > 8 else "")


def _losses(metrics: MetricsLog, losses: dict[str, np.ndarray]) -> Html:
    lines = []
    for index, (name, values) in enumerate(losses.items()):
        finite = values[np.isfinite(values)]
        # The label says what the last few values are; a single step of a small batch is noise.
        end = (
            f"{figures.shorten(name, 20)} {figures.number(float(finite[-max(1, len(finite) // 20) :].mean()))}"
            if finite.size
            else ""
        )
        lines.append(Line(name, metrics.steps, values, f"var(--series-{index % _COLOURS})", end))
    everything = np.concatenate(list(losses.values()))
    log = _spans_decades(everything[np.isfinite(everything)])
    subtitle = "nats per token" + (", logarithmic axis" if log else "")
    description = "Loss over steps. " + "; ".join(_course(line) for line in lines)
    # One drawing for wide pages and one for narrow ones: scaled down, the letters of the first would be too small.
    drawings = [
        tag("div", line_chart(lines, frame, description=description, marks=metrics.turns), class_=kind)
        for frame, kind in ((Frame(1060, 340, log=log, hovers=80), "wide"), (Frame(380, 280, log=log), "narrow"))
    ]
    return figure("Loss per dataset", subtitle, *drawings, _as_table(lines), class_="chart main")


def _spans_decades(values: np.ndarray) -> bool:
    return bool(values.size and values.min() > 0 and values.max() > 20 * values.min())


def _course(line: Line) -> str:
    values = line.values[np.isfinite(line.values)]
    if not values.size:
        return f"{line.name}: no value"
    return f"{line.name}: from {figures.number(float(values[0]))} to {figures.number(float(values[-1]))}"


def _as_table(lines: Sequence[Line]) -> Html:
    steps = lines[0].steps
    rows = [
        (
            f"{int(steps[at]):,}",
            *(figures.number(float(line.values[at])) if np.isfinite(line.values[at]) else "–" for line in lines),
        )
        for at in np.unique(np.linspace(0, len(steps) - 1, _TABLE_ROWS).round().astype(int)).tolist()
    ]
    header = ("Step", *(line.name for line in lines))
    return details("The same in figures", table(header, rows, caption="Loss per dataset at some steps, nats per token"))


def _singles(metrics: MetricsLog, with_datasets: bool) -> list[Html]:
    charts = []
    for key, title, subtitle, robust in _SINGLE:
        if key in metrics.columns:
            only = key == "loss" and not with_datasets
            title = "Loss" if only else title
            charts.append(_single(metrics, key, title, subtitle, robust=robust))
    return charts


def _single(metrics: MetricsLog, key: str, title: str, subtitle: str, *, robust: bool) -> Html:
    line = Line(title, metrics.steps, metrics.columns[key], "var(--series-0)")
    usual = line.values[typical(line.values)]
    log = robust and _spans_decades(usual)
    zero = key in ("learning_rate", "tokens_per_second")
    frame = Frame(robust=robust, log=log, smoothed=key != "learning_rate", zero=zero)
    subtitle = ", ".join(filter(None, (subtitle, "logarithmic axis" if log else "")))
    drawing = line_chart([line], frame, description=f"{title} over steps. {_course(line)}", marks=metrics.turns)
    return figure(title, subtitle, drawing)


def _families(metrics: MetricsLog) -> list[Html]:
    charts = []
    for prefix, title, subtitle in _FAMILIES:
        columns = {name: values for name, values in metrics.family(prefix).items() if np.isfinite(values).any()}
        if not columns:
            continue
        lines = [
            Line(name, metrics.steps, values, f"var(--series-{place % _COLOURS})", figures.shorten(name, 14))
            for place, (name, values) in enumerate(columns.items())
        ]
        usual = np.concatenate([values[typical(values)] for values in columns.values()])
        log = _spans_decades(usual)
        description = f"{title} over steps. " + "; ".join(_course(line) for line in lines)
        frame = Frame(robust=True, log=log)
        drawing = line_chart(lines, frame, description=description, marks=metrics.turns)
        charts.append(figure(title, subtitle + (", logarithmic axis" if log else ""), drawing))
    return charts


def _others(metrics: MetricsLog) -> Html:
    shown = {key for key, *_ in _SINGLE}
    families = (*_SHOWN_OTHERWISE, *(prefix for prefix, *_ in _FAMILIES))
    keys = [key for key in metrics.columns if key not in shown and not key.startswith(families)]
    if not keys:
        return Html("")
    charts = [_single(metrics, key, key, "", robust=True) for key in keys[:_MOST_OTHERS]]
    more = f" (the first {_MOST_OTHERS} of {len(keys)})" if len(keys) > _MOST_OTHERS else ""
    return details(f"Other logged series{more}", tag("div", *charts, class_="grid-charts"))
