"""The gates of the cross-attention layers: 0 lets nothing of the image through, ±1 everything."""

import numpy as np

from flamingo_jax.evaluation.report.charts import Frame, Line, line_chart
from flamingo_jax.evaluation.report.dots import layer_chart
from flamingo_jax.evaluation.report.figure import figure
from flamingo_jax.evaluation.report.metrics_log import MetricsLog
from flamingo_jax.evaluation.report.scales import domain_of
from flamingo_jax.html import figures
from flamingo_jax.html.markup import Html, absent, section, tag

_BRANCHES = (("attention", "cross-attention"), ("dense", "feed-forward"))
_MOST_LABELS = 8


def gates(metrics: MetricsLog | None) -> Html:
    """The section "Gates per layer"."""
    branches = {} if metrics is None else {key: _layers(metrics, key) for key, _ in _BRANCHES}
    branches = {key: layers for key, layers in branches.items() if layers}
    if metrics is None or not branches:
        return section("gates", "Gates per layer", absent("No gate was logged."))
    depth = sorted({layer for layers in branches.values() for layer in layers})
    everything = np.concatenate([values for layers in branches.values() for values in layers.values()])
    frame = Frame(domain=domain_of(everything, zero=True), smoothed=False)
    charts = []
    for key, name in _BRANCHES:
        if key in branches:
            lines = [
                Line(f"layer {layer}", metrics.steps, values, f"var(--depth-{depth.index(layer)})")
                for layer, values in branches[key].items()
            ]
            lines = _labelled(lines)
            description = f"Gates of the {name} branch over steps; last values: {_last_values(branches[key])}"
            drawing = line_chart(lines, frame, description=description, marks=metrics.turns)
            charts.append(
                figure(f"Gates of the {name} branch", "tanh of the gate", drawing, _legend(len(depth), depth))
            )
    names = dict(_BRANCHES)
    final = {names[key]: {layer: _last(values) for layer, values in row.items()} for key, row in branches.items()}
    description = "Gates at the end. " + "; ".join(f"{name}: {_listed(row)}" for name, row in final.items())
    colours = ("var(--series-0)", "var(--series-1)") if len(final) == 2 else ("var(--series-0)",)
    charts.append(figure("Where they ended", "last logged value", layer_chart(final, colours, description=description)))
    lead = "Each cross-attention layer adds its two branches to the frozen language model, scaled by tanh of a learned "
    lead += "gate: at 0 the layer is absent and the model is the frozen one; the further from 0, the more it adds."
    return section("gates", "Gates per layer", tag("div", *charts, class_="grid-charts"), lead=lead)


def depth_count(metrics: MetricsLog | None) -> int:
    """How many colours the depth scale needs."""
    if metrics is None:
        return 0
    return len({layer for key, _ in _BRANCHES for layer in _layers(metrics, key)})


def _layers(metrics: MetricsLog, branch: str) -> dict[int, np.ndarray]:
    found = metrics.family(f"gate/{branch}/")
    columns = {int(name): values for name, values in found.items() if name.isascii() and name.isdigit()}
    return {layer: columns[layer] for layer in sorted(columns) if np.isfinite(columns[layer]).any()}


def _labelled(lines: list[Line]) -> list[Line]:
    """Names lines at their ends: all of them, or some evenly spread over the depth where all would not fit."""
    chosen = set(np.linspace(0, len(lines) - 1, min(len(lines), _MOST_LABELS)).round().astype(int).tolist())
    return [
        Line(line.name, line.steps, line.values, line.colour, line.name.removeprefix("layer "))
        if place in chosen
        else line
        for place, line in enumerate(lines)
    ]


def _legend(size: int, depth: list[int]) -> Html:
    swatches = [tag("i", style=f"background:var(--depth-{index})") for index in range(size)]
    first, last = f"layer {depth[0]}", f"layer {depth[-1]}"
    return tag("p", first, tag("span", *swatches, aria_hidden="true"), last if size > 1 else "", class_="depth")


def _last(values: np.ndarray) -> float:
    return float(values[np.isfinite(values)][-1])


def _last_values(layers: dict[int, np.ndarray]) -> str:
    return _listed({layer: _last(values) for layer, values in layers.items()})


def _listed(row: dict[int, float]) -> str:
    return ", ".join(f"layer {layer} {figures.number(value)}" for layer, value in row.items())
