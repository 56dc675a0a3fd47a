"""The parts of a line chart that hold no data: axis, ticks, grid lines and marks, as SVG."""

import math

from flamingo_jax.evaluation.report.scales import Scale
from flamingo_jax.html.markup import Html, tag

FONT = 11  # px, as in the style sheet


def width_of(label: str) -> int:
    """About how many px wide `label` is."""
    return math.ceil(0.58 * FONT * len(label))


def y_tick(y: Scale, value: float, label: str, across: tuple[float, float]) -> Html:
    """A horizontal grid line at `value`, stronger at 0, with its label on the left; `across` is from where to where."""
    height = round(float(y(value)), 1)
    zero = " zero" if value == 0 else ""
    return tag(
        "g",
        tag("line", x1=across[0], x2=across[1], y1=height, y2=height, class_=f"grid{zero}"),
        tag("text", label, x=across[0] - 6, y=height + 3.5, text_anchor="end"),
    )


def x_axis(x: Scale, bottom: float) -> list[Html]:
    """The line at height `bottom` and ticks at round steps below it; the last one says what is counted."""
    start, end = x.pixels
    parts = [tag("line", x1=start, x2=end, y1=bottom, y2=bottom, class_="axis")]
    ticks = [tick for tick in x.ticks(max(2, round((end - start) / 70))) if float(tick[0]).is_integer()]
    for index, (value, label) in enumerate(ticks):
        across = round(float(x(value)), 1)
        name = f"step {label}" if index == len(ticks) - 1 else label
        parts.append(tag("line", x1=across, x2=across, y1=bottom, y2=bottom + 4, class_="axis"))
        parts.append(tag("text", name, x=across, y=bottom + 17, text_anchor="middle"))
    return parts


def mark(x: Scale, step: int, down: tuple[float, float]) -> Html:
    """A thin vertical line at a step where the run was resumed; `down` is from where to where."""
    across = round(float(x(step)), 1)
    line = tag("line", x1=across, x2=across, y1=down[0], y2=down[1], class_="resume")
    return tag("g", tag("title", f"resumed at step {step:,}"), line)
