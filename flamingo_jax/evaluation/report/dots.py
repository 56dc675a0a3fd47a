"""Dot charts as inline SVG: values per layer, pairs of values per row, and a scatter against the diagonal."""

from collections.abc import Sequence

import numpy as np

from flamingo_jax.evaluation.report.scales import Scale, domain_of
from flamingo_jax.html import figures
from flamingo_jax.html.markup import Html, tag


def layer_chart(series: dict[str, dict[int, float]], colours: Sequence[str], *, description: str) -> Html:
    """One value per layer and series, as dots on stems from 0; shapes tell the series apart as well as colours do.

    Args:
      series: name -> {layer: value}; at most two, drawn as discs and as diamonds.
      colours: per series.
      description: for screen readers.
    """
    layers = sorted({layer for values in series.values() for layer in values})
    width, height, left, right, top, bottom = 340, 216, 38, 12, 30, 30
    values = np.array([value for row in series.values() for value in row.values()])
    y = Scale(domain_of(values, zero=True), (height - bottom, top))
    x = Scale((-0.6, len(layers) - 0.4), (left, width - right))
    parts = []
    for value, label in y.ticks(4):
        at = round(float(y(value)), 1)
        parts.append(tag("line", x1=left, x2=width - right, y1=at, y2=at, class_="grid zero" if value == 0 else "grid"))
        parts.append(tag("text", label, x=left - 6, y=at + 3.5, text_anchor="end"))
    every = -(-len(layers) // 12)
    for place, layer in enumerate(layers):
        if place % every == 0:
            name = f"layer {layer}" if place == 0 else str(layer)
            parts.append(tag("text", name, x=round(float(x(place)), 1), y=height - bottom + 17, text_anchor="middle"))
    offset = min(5.0, 0.22 * float(x(1) - x(0)))
    for index, (name, row) in enumerate(series.items()):
        for place, layer in enumerate(layers):
            if layer not in row:
                continue
            across, at = float(x(place)) + (2 * index - 1) * offset, float(y(row[layer]))
            parts.append(
                tag(
                    "g",
                    tag("title", f"layer {layer}, {name}: {figures.number(row[layer])}"),
                    tag("line", x1=f"{across:.1f}", x2=f"{across:.1f}", y1=f"{float(y(0)):.1f}", y2=f"{at:.1f}"),
                    _shape(index, across, at),
                    class_="stem",
                    style=f"stroke:{colours[index]};fill:{colours[index]}",
                )
            )
        key = left + 8 + 110 * index
        parts.append(tag("g", _shape(index, key, 9), style=f"fill:{colours[index]};stroke:{colours[index]}"))
        parts.append(tag("text", name, x=key + 9, y=12.5, class_="key"))
    return tag("svg", *parts, class_="drawing", viewBox=f"0 0 {width} {height}", role="img", aria_label=description)


def pair_chart(rows: Sequence[tuple[str, float, float | None]], names: tuple[str, str], *, description: str) -> Html:
    """Per row, a fraction (disc) and what it is compared with (ring), joined by a line; the axis runs from 0 to 1.

    Args:
      rows: (label, fraction, the other fraction or None).
      names: what disc and ring stand for.
      description: for screen readers.
    """
    width, top, left, right = 340, 34, 96, 46
    pitch = min(60, max(34, 180 // len(rows)))
    height = top + pitch * len(rows) + 22
    x = Scale((0, 1), (left, width - right))
    parts = []
    for value in (0, 0.25, 0.5, 0.75, 1):
        at = round(float(x(value)), 1)
        parts.append(tag("line", x1=at, x2=at, y1=top - 6, y2=height - 22, class_="grid"))
        parts.append(tag("text", f"{value:.0%}", x=at, y=height - 8, text_anchor="middle"))
    for index, (label, fraction, other) in enumerate(rows):
        at = top + pitch * (index + 0.5) - 6
        end = float(x(fraction))
        shown = f"{label}: {figures.percent(fraction)} {names[0]}"
        marks = [tag("text", figures.shorten(label, 13), x=left - 14, y=at + 4, text_anchor="end", class_="name")]
        if other is not None:
            shown += f", {figures.percent(other)} {names[1]}"
            marks.append(tag("line", x1=f"{float(x(other)):.1f}", x2=f"{end:.1f}", y1=at, y2=at, class_="bridge"))
            marks.append(tag("circle", cx=f"{float(x(other)):.1f}", cy=at, r=5, class_="ring"))
        marks.append(tag("circle", cx=f"{end:.1f}", cy=at, r=5.5, class_="disc"))
        ahead = max(end, float(x(other)) if other is not None else end)
        marks.append(tag("text", figures.percent(fraction), x=f"{ahead + 10:.1f}", y=at + 4, class_="value"))
        parts.append(tag("g", tag("title", shown), *marks))
    for key, kind, name in ((left, "disc", names[0]), (left + 110, "ring", names[1])):
        parts.append(tag("circle", cx=key + 5, cy=9, r=5, class_=kind))
        parts.append(tag("text", name, x=key + 15, y=12.5, class_="key"))
    return tag("svg", *parts, class_="drawing", viewBox=f"0 0 {width} {height}", role="img", aria_label=description)


def scatter(points: Sequence[tuple[float, float, str]], axes: tuple[str, str], *, description: str) -> Html:
    """(x, y, title) points on equal axes, with the diagonal on which x = y.

    `axes` names the two axes, x first.
    """
    width, height, left, right, top, bottom = 340, 236, 38, 10, 26, 40
    both = np.array([value for across, down, _ in points for value in (across, down)])
    domain = domain_of(both, zero=bool(both.min() >= 0))
    x, y = Scale(domain, (left, width - right)), Scale(domain, (height - bottom, top))
    parts = []
    for value, label in y.ticks(4):
        across, at = round(float(x(value)), 1), round(float(y(value)), 1)
        parts.append(tag("line", x1=left, x2=width - right, y1=at, y2=at, class_="grid"))
        parts.append(tag("text", label, x=left - 6, y=at + 3.5, text_anchor="end"))
        parts.append(tag("text", label, x=across, y=height - bottom + 15, text_anchor="middle"))
    start, end = x.pixels
    parts.append(tag("line", x1=start, y1=y.pixels[0], x2=end, y2=y.pixels[1], class_="diagonal"))
    parts.append(tag("text", axes[1], x=4, y=12.5, class_="key"))
    parts.append(tag("text", axes[0], x=end, y=height - 8, text_anchor="end", class_="key"))
    for across, down, title in points:
        dot = tag("circle", cx=f"{float(x(across)):.1f}", cy=f"{float(y(down)):.1f}", r=4, class_="point")
        parts.append(tag("g", tag("title", title), dot))
    return tag("svg", *parts, class_="drawing", viewBox=f"0 0 {width} {height}", role="img", aria_label=description)


def _shape(index: int, across: float, at: float) -> Html:
    if index == 0:
        return tag("circle", cx=f"{across:.1f}", cy=f"{at:.1f}", r=4)
    return tag("path", d=f"M{across:.1f} {at - 5:.1f}l5 5l-5 5l-5 -5z")
