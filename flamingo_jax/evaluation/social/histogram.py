"""The distribution of scores as inline SVG."""

from collections.abc import Sequence

from flamingo_jax.evaluation.report.axes import y_tick
from flamingo_jax.evaluation.report.scales import Scale
from flamingo_jax.html.markup import Html, tag

_WIDTH, _HEIGHT = 680, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 48, 12, 18, 36
_FEWEST = 0.5  # where bars begin, so that a single caption is seen


def histogram(counts: Sequence[int], threshold: float) -> Html:
    """Bars of equal width from 0 to 1 on a logarithmic scale: nearly all captions are in the first few.

    Args:
      counts: of captions in each bin; at least one is not 0.
      threshold: where a line stands; bars that begin at or beyond it are marked.
    """
    y = Scale((_FEWEST, 1.3 * max(counts)), (_HEIGHT - _BOTTOM, _TOP), log=True)
    x = Scale((0, 1), (_LEFT, _WIDTH - _RIGHT))
    parts = [y_tick(y, value, label, x.pixels) for value, label in y.ticks(4) if value >= 1 and value == int(value)]
    bottom = _HEIGHT - _BOTTOM
    for place, count in enumerate(counts):
        start, end = place / len(counts), (place + 1) / len(counts)
        top, left = float(y(max(count, _FEWEST))), float(x(start))
        bar = tag(
            "rect",
            x=round(left + 1, 1),
            y=round(top, 1),
            width=round(float(x(end)) - left - 2, 1),
            height=round(bottom - top, 1),
            class_="bar flagged" if start >= threshold - 1e-9 else "bar",
        )
        parts.append(tag("g", tag("title", f"{start:.2f} to {end:.2f}: {count:,} captions"), bar))
    parts.append(tag("line", x1=_LEFT, x2=_WIDTH - _RIGHT, y1=bottom, y2=bottom, class_="axis"))
    for value, label in x.ticks(10):
        parts.append(tag("text", label, x=round(float(x(value)), 1), y=bottom + 15, text_anchor="middle"))
    at = round(float(x(threshold)), 1)
    parts.append(tag("line", x1=at, x2=at, y1=_TOP, y2=bottom, class_="threshold"))
    parts.append(tag("text", "captions (logarithmic scale)", x=4, y=11))
    parts.append(tag("text", "toxicity", x=_WIDTH - _RIGHT, y=_HEIGHT - 4, text_anchor="end"))
    described = f"Captions by toxicity score; the threshold is {threshold:g}."
    return tag("svg", *parts, class_="drawing", viewBox=f"0 0 {_WIDTH} {_HEIGHT}", role="img", aria_label=described)
