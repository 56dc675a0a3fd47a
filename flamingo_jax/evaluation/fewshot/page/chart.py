"""The score by shots as a drawing: one's own with intervals, published ones as thin lines behind."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from flamingo_jax.evaluation.published import Published
from flamingo_jax.evaluation.report.axes import y_tick
from flamingo_jax.evaluation.report.curves import spread
from flamingo_jax.evaluation.report.scales import Scale, domain_of
from flamingo_jax.html import figures
from flamingo_jax.html.markup import Html, join, tag

_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 860, 420, 52, 236, 14, 46
_PITCH = 14  # pixels between two names at the lines' ends
_FAMILIES = (("Flamingo", "--series-1"), ("OpenFlamingo", "--series-2"), ("IDEFICS", "--series-3"))


@dataclasses.dataclass(frozen=True)
class Series:
    """One line.

    Attributes:
      name: at its end.
      values: shots -> (value, low, high); without an interval both ends are None.
      colour: a CSS colour.
      own: drawn thick, with points and intervals.
      dashed: for support that is not random.
    """

    name: str
    values: Mapping[int, tuple[float, float | None, float | None]]
    colour: str
    own: bool = False
    dashed: bool = False


def series_of(one: Published) -> Series:
    """A published few-shot result as a line."""
    colour = next((name for family, name in _FAMILIES if one.model.startswith(family)), "--faint")
    name = f"{one.model}{'' if one.how == 'random support' else ', ' + one.how}"
    values = {shots: (value, None, None) for shots, value in one.values.items()}
    return Series(name, values, f"var({colour})", dashed=one.how != "random support")


def chart(series: Sequence[Series], levels: Sequence[tuple[str, float]], metric: str) -> Html:
    """The drawing; shots stand evenly apart on the horizontal axis.

    Args:
      series: lines of at least one value each, in the order of drawing.
      levels: (name, value) of horizontal lines: figures that no number of shots belongs to.
      metric: what the vertical axis shows.
    """
    shots = sorted({count for line in series for count in line.values})
    if not shots:
        return tag("p", "There is no value to draw.", class_="absent")
    everything = [number for line in series for cell in line.values.values() for number in cell if number is not None]
    y = Scale(domain_of(np.array(everything + [value for _, value in levels])), (_HEIGHT - _BOTTOM, _TOP))
    right = _WIDTH - _RIGHT
    inset = 24 if len(shots) > 1 else (right - _LEFT) / 2
    places = np.linspace(_LEFT + inset, right - inset, len(shots)).tolist()
    across = dict(zip(shots, places, strict=True))
    parts = [y_tick(y, value, label, (_LEFT, right)) for value, label in y.ticks(6)]
    for count, place in across.items():
        parts.append(tag("text", str(count), x=round(place, 1), y=_HEIGHT - _BOTTOM + 18, text_anchor="middle"))
    parts.append(tag("text", "examples in the prompt", x=(_LEFT + right) / 2, y=_HEIGHT - 8, text_anchor="middle"))
    parts += [_level(name, value, y, right) for name, value in levels]
    parts += [_line(line, across, y) for line in series]
    parts += _names(series, levels, across, y, right)
    return tag(
        "svg",
        *parts,
        class_="drawing",
        viewBox=f"0 0 {_WIDTH} {_HEIGHT}",
        role="img",
        aria_label=f"{metric} by the number of examples in the prompt; the table below has the figures",
    )


def _line(line: Series, across: Mapping[int, float], y: Scale) -> Html:
    points = [(across[count], count, *line.values[count]) for count in sorted(line.values)]
    path = "M" + "L".join(f"{place:.1f} {float(y(value)):.1f}" for place, _, value, _, _ in points)
    marks = []
    for place, count, value, low, high in points:
        told = f"{line.name}, {count} shots: {value:.1f}"
        if low is not None and high is not None:
            told += f" ({low:.1f} to {high:.1f})"
            top, bottom = float(y(high)), float(y(low))
            marks.append(
                tag(
                    "path",
                    d=f"M{place:.1f} {top:.1f}V{bottom:.1f}m-5 0h10M{place - 5:.1f} {top:.1f}h10",
                    class_="reach",
                )
            )
        size = 4.5 if line.own else 2.2
        dot = tag("circle", cx=f"{place:.1f}", cy=f"{float(y(value)):.1f}", r=size, class_="dot")
        marks.append(tag("g", tag("title", told), dot))
    kind = " ".join(filter(None, ["series", line.own and "own", line.dashed and "dashed"]))
    return tag("g", tag("path", d=path, class_="line"), join(marks), class_=kind, style=f"--hue:{line.colour}")


def _level(name: str, value: float, y: Scale, right: float) -> Html:
    height = round(float(y(value)), 1)
    told = tag("title", f"{name}: {value:.1f}")
    return tag("g", told, tag("line", x1=_LEFT, x2=right, y1=height, y2=height, class_="level"))


def _names(
    series: Sequence[Series], levels: Sequence[tuple[str, float]], across: Mapping[int, float], y: Scale, right: float
) -> list[Html]:
    ends = []
    for line in series:
        last = max(line.values)
        ends.append((line.name, line.values[last][0], line.colour, across[last], line.own))
    ends += [(name, value, "var(--soft)", right, False) for name, value in levels]
    bottom, top = y.pixels
    heights = [float(y(value)) for _, value, _, _, _ in ends]
    placed = spread(heights, _PITCH, min(top, bottom - _PITCH * (len(ends) - 1)), bottom)
    made = []
    for (name, value, colour, start, own), height, at in zip(ends, heights, placed, strict=True):
        lead = f"M{start + 7:.1f} {height:.1f}L{right - 4:.1f} {height:.1f}L{right + 8:.1f} {at:.1f}"
        told = f"{figures.shorten(name, 34)} {value:.1f}"
        made.append(
            tag(
                "g",
                tag("path", d=lead, class_="lead-line"),
                tag("text", told, x=right + 12, y=round(at + 3.8, 1), class_="name own" if own else "name"),
                style=f"--hue:{colour}",
            )
        )
    return made
