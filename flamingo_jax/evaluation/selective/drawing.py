"""The charts: risk by coverage, and accuracy by confidence."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from flamingo_jax.evaluation.report import curves
from flamingo_jax.evaluation.report.axes import y_tick
from flamingo_jax.evaluation.report.scales import Scale, domain_of
from flamingo_jax.html import figures
from flamingo_jax.html.markup import Html, tag

_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 860, 420, 52, 190, 14, 46
_SIDE = 420  # of the reliability diagram
_PITCH = 15  # pixels between two names at the lines' ends


def risk_chart(risks: Mapping[str, Sequence[float]], named: float, at: tuple[float, float] | None) -> Html:
    """The risk by the share of questions that is answered.

    Args:
      risks: name -> of the 1, 2, ... surest answers; the first is drawn thick, the last is what is best possible.
      named: the risk that the rule is to hold.
      at: (coverage, risk) of the rule; None: it answers nothing.
    """
    highest = max([named, *(max(line[len(line) // 20 :]) for line in risks.values())])
    y = Scale(domain_of(np.array([0.0, highest]), zero=True), (_HEIGHT - _BOTTOM, _TOP))
    x = Scale((0, 1), (_LEFT, _WIDTH - _RIGHT))
    parts = [y_tick(y, value, figures.percent(value), x.pixels) for value, _ in y.ticks(6)]
    parts += _shares_below(x, _HEIGHT - _BOTTOM, "share of the questions that is answered")
    level = round(float(y(named)), 1)
    told = tag("title", f"risk named: {figures.percent(named)}")
    parts.append(tag("g", told, tag("line", x1=x.pixels[0], x2=x.pixels[1], y1=level, y2=level, class_="level")))
    drawn, ends = [], []
    for place, (name, line) in enumerate(risks.items()):
        hue = "var(--faint)" if place == len(risks) - 1 else f"var(--series-{place % 6})"
        values = np.asarray(line, np.float64)
        coverage = np.arange(1, len(values) + 1) / len(values)
        kept = curves.thin(values)
        path = tag("path", d=curves.path(x(coverage[kept]), y(values[kept])), class_="line")
        kind = "series own" if place == 0 else "series dashed" if place == len(risks) - 1 else "series"
        drawn.append(tag("g", tag("title", name), path, class_=kind, style=f"--hue:{hue}"))
        ends.append((name, float(values.mean()), hue, place == 0))
    # Risks of a few answers jump about and may leave the plot, whose own box clips them.
    box = f"{_LEFT} 0 {x.pixels[1] - _LEFT} {_HEIGHT - _BOTTOM + 1}"
    size = {"width": x.pixels[1] - _LEFT, "height": _HEIGHT - _BOTTOM + 1}
    parts.append(tag("svg", *reversed(drawn), x=_LEFT, y=0, **size, viewBox=box, class_="plot"))
    parts += _names(ends, x.pixels[1] + 12)
    if at is not None:
        across, down = (f"{float(scale(value)):.1f}" for scale, value in zip((x, y), at, strict=True))
        said = f"the rule: {figures.percent(at[0])} answered, {figures.percent(at[1])} of it wrong"
        parts.append(tag("g", tag("title", said), tag("circle", cx=across, cy=down, r=6, class_="here")))
    label = "risk by the share of the questions that is answered; the table has the areas below the lines"
    return _drawing(parts, _WIDTH, _HEIGHT, label)


def reliability_chart(bins: Sequence[Mapping[str, Any]]) -> Html:
    """The share that is right in each bin of confidence (dots, larger for more answers), against the diagonal."""
    x, y = Scale((0, 1), (_LEFT, _SIDE - 24)), Scale((0, 1), (_SIDE - _BOTTOM, _TOP))
    parts = [y_tick(y, value, figures.percent(value), x.pixels) for value, _ in y.ticks(5)]
    parts += _shares_below(x, _SIDE - _BOTTOM, "confidence")
    ends = {"x1": x.pixels[0], "y1": y.pixels[0], "x2": x.pixels[1], "y2": y.pixels[1]}
    parts.append(tag("line", **ends, class_="diagonal"))
    most = max(each["count"] for each in bins)
    for each in bins:
        across, down = float(x(each["confidence"])), float(y(each["accuracy"]))
        said = (
            f"{each['count']:,} answers with a confidence of {figures.percent(each['low'])} to "
            f"{figures.percent(each['high'])}, {figures.percent(each['confidence'])} on average: "
            f"{figures.percent(each['accuracy'])} right"
        )
        radius = 3 + 9 * (each["count"] / most) ** 0.5
        meant = float(y(each["confidence"]))
        gap = tag("line", x1=f"{across:.1f}", x2=f"{across:.1f}", y1=f"{down:.1f}", y2=f"{meant:.1f}")
        dot = tag("circle", cx=f"{across:.1f}", cy=f"{down:.1f}", r=f"{radius:.1f}", class_="bin")
        parts.append(tag("g", tag("title", said), gap, dot, class_="gap"))
    return _drawing(parts, _SIDE, _SIDE, "accuracy by confidence; on the diagonal both are the same")


def _shares_below(x: Scale, bottom: float, name: str) -> list[Html]:
    """Labels of an axis from 0 to 1 at height `bottom`, and what it shows."""
    ticks = [
        tag("text", figures.percent(value), x=round(float(x(value)), 1), y=bottom + 18, text_anchor="middle")
        for value in (0, 0.25, 0.5, 0.75, 1)
    ]
    return [*ticks, tag("text", name, x=sum(x.pixels) / 2, y=bottom + 38, text_anchor="middle")]


def _names(ends: Sequence[tuple[str, float, str, bool]], across: float) -> list[Html]:
    """The key beside the plot, the best first: all lines end in the same point."""
    parts = [tag("text", "area below the line", x=across, y=_TOP + 6)]
    for place, (name, area, hue, own) in enumerate(sorted(ends, key=lambda end: end[1]), 1):
        told = f"{name.replace('_', ' ')} {100 * area:.1f}"
        style = f"--hue:{hue}"
        at = _TOP + 10 + place * _PITCH
        parts.append(tag("text", told, x=across, y=at, class_="name own" if own else "name", style=style))
    return parts


def _drawing(parts: Sequence[Html], width: int, height: int, label: str) -> Html:
    return tag("svg", *parts, class_="drawing", viewBox=f"0 0 {width} {height}", role="img", aria_label=label)
