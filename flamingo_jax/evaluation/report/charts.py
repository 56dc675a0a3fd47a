"""Line charts over training steps, as inline SVG that needs no script.

Colours are CSS variables, so one drawing serves light and dark. Lines are named at their ends rather than in a legend,
and hovering shows a hairline, a dot on each line and the values (`<title>`).
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from flamingo_jax.evaluation.report import curves
from flamingo_jax.evaluation.report.axes import FONT, mark, width_of, x_axis, y_tick
from flamingo_jax.evaluation.report.scales import Scale, domain_of, typical
from flamingo_jax.html import figures
from flamingo_jax.html.markup import Html, tag

_TOP, _BOTTOM = 12, 30


@dataclasses.dataclass(frozen=True)
class Line:
    """One series: `steps` and `values`, both [n]; `label` stands at the line's end (empty: none)."""

    name: str
    steps: np.ndarray
    values: np.ndarray
    colour: str
    label: str = ""


@dataclasses.dataclass(frozen=True)
class Frame:
    """How a chart is drawn.

    Attributes:
      width, height: of the view box, in px at scale 1.
      log: a logarithmic value axis.
      zero: the value axis holds 0.
      robust: far outliers may lie outside the axis; the chart says how many do.
      domain: of the value axis, for charts that are to be compared; None: from the values.
      smoothed: draws a Gaussian average over a faint raw line.
      hovers: at how many steps hovering shows values.
    """

    width: int = 340
    height: int = 190
    log: bool = False
    zero: bool = False
    robust: bool = False
    domain: tuple[float, float] | None = None
    smoothed: bool = True
    hovers: int = 40


def smoothing(size: int) -> float:
    """The standard deviation, in logged steps, of the average over a series of `size`; 0 for short ones."""
    return size / 60 if size >= 40 else 0.0


def line_chart(lines: Sequence[Line], frame: Frame, *, description: str, marks: Sequence[int] = ()) -> Html:
    """Draws `lines`; `marks` are steps with a thin vertical line (resume points).

    `description` is what a screen reader says in place of the drawing.
    """
    lines = [line for line in lines if np.isfinite(line.values).any()]
    if not lines:
        return tag("p", "No value was logged.", class_="absent")
    sigma = smoothing(max(len(line.values) for line in lines)) if frame.smoothed else 0.0
    means = [_mean(line.values, sigma, frame.robust) for line in lines]
    everything = np.concatenate([line.values for line in lines])
    domain = frame.domain or domain_of(everything, log=frame.log, zero=frame.zero, robust=frame.robust)
    steps = np.concatenate([line.steps for line in lines])
    first, last = float(steps.min()), float(steps.max())

    y = Scale(domain, (frame.height - _BOTTOM, _TOP), frame.log)
    y_ticks = y.ticks(max(4, frame.height // 55))
    left = 10 + width_of(max((label for _, label in y_ticks), key=len, default=""))
    right = 12 + max(width_of(line.label) for line in lines)
    x = Scale((first, last if last > first else first + 1), (left, frame.width - right))

    grid = [y_tick(y, value, label, x.pixels) for value, label in y_ticks]
    grid += x_axis(x, frame.height - _BOTTOM)
    grid += [mark(x, step, y.pixels) for step in marks if first <= step <= last]
    drawn = [path for line, mean in zip(lines, means, strict=True) for path in _paths(line, mean, x, y, bool(sigma))]
    # Outliers leave the plot. Browsers clip what a nested svg holds, and that needs no id, which could stand twice.
    across, down = frame.width - right - left + 2, frame.height - _BOTTOM + 1
    box = f"{left} 0 {across} {down}"
    body = tag("svg", *drawn, x=left, y=0, width=across, height=down, viewBox=box, class_="plot")
    return tag(
        "svg",
        *grid,
        body,
        *_labels(lines, means, x, y, frame),
        _outside(everything, domain, x),
        *_hovers(lines, means, x, y, frame),
        class_="drawing",
        viewBox=f"0 0 {frame.width} {frame.height}",
        role="img",
        aria_label=description,
    )


def _mean(values: np.ndarray, sigma: float, robust: bool) -> np.ndarray:
    if not sigma:
        return values
    return curves.smooth(values, sigma, typical(values) if robust else None)


def _paths(line: Line, mean: np.ndarray, x: Scale, y: Scale, faint: bool) -> list[Html]:
    made = []
    for values, kind in ((line.values, "raw"), (mean, "line")) if faint else ((mean, "line"),):
        kept = curves.thin(values)
        shape = curves.path(x(line.steps[kept]), y(values[kept]))
        made.append(tag("path", d=shape, class_=kind, style=f"stroke:{line.colour}"))
    return made


def _labels(lines: Sequence[Line], means: Sequence[np.ndarray], x: Scale, y: Scale, frame: Frame) -> list[Html]:
    named = [(line, _last(mean)) for line, mean in zip(lines, means, strict=True) if line.label]
    bottom, top = y.pixels
    heights = [min(max(float(np.nan_to_num(y(value), nan=bottom)), top), bottom) for _, value in named]
    placed = curves.spread(heights, FONT + 1, top, bottom)
    return [
        tag("text", line.label, x=x.pixels[1] + 7, y=round(height + 3.5, 1), class_="end", style=f"fill:{line.colour}")
        for (line, _), height in zip(named, placed, strict=True)
    ]


def _last(values: np.ndarray) -> float:
    return float(values[np.isfinite(values)][-1])


def _outside(values: np.ndarray, domain: tuple[float, float], x: Scale) -> Html:
    values = values[np.isfinite(values)]
    beyond = values[(values < domain[0]) | (values > domain[1])]
    if not beyond.size:
        return Html("")
    points = "1 point" if beyond.size == 1 else f"{beyond.size:,} points"
    extreme = beyond[np.argmax(np.abs(beyond))]
    note = f"{points} outside, up to {figures.number(float(extreme))}"
    return tag("text", note, x=x.pixels[1], y=_TOP - 2, text_anchor="end", class_="aside")


def _hovers(lines: Sequence[Line], means: Sequence[np.ndarray], x: Scale, y: Scale, frame: Frame) -> list[Html]:
    """Invisible bands side by side; the one below the pointer shows its step."""
    steps = np.unique(np.concatenate([line.steps for line in lines]))
    chosen = steps[np.unique(np.linspace(0, len(steps) - 1, min(frame.hovers, len(steps))).round().astype(int))]
    middles = (chosen[1:] + chosen[:-1]) / 2
    edges = x(np.concatenate([[x.domain[0]], middles, [x.domain[1]]]))
    bottom, top = y.pixels
    bands = []
    for place, step in enumerate(chosen.tolist()):
        across = round(float(x(step)), 1)
        shown, dots = [f"step {step:,}"], []
        for line, mean in zip(lines, means, strict=True):
            at = int(np.searchsorted(line.steps, step))
            if at == len(line.steps) or line.steps[at] != step or not np.isfinite(mean[at]):
                continue
            raw = float(line.values[at])
            shown.append(f"{line.name}: {figures.number(raw)}")
            height = float(y(mean[at]))
            if top - 1 <= height <= bottom + 1:
                dots.append(tag("circle", cx=across, cy=round(height, 1), r=3, style=f"fill:{line.colour}"))
        start, width = float(edges[place]), max(float(edges[place + 1] - edges[place]), 1.0)
        band = tag("rect", x=round(start, 1), y=top, width=round(width, 1), height=bottom - top)
        hairline = tag("line", x1=across, x2=across, y1=bottom, y2=top)
        bands.append(tag("g", tag("title", "\n".join(shown)), band, hairline, *dots, class_="hover"))
    return bands
