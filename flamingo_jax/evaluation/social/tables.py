"""The table of an attribute, as the page and the terminal show it: one's own figures beside the paper's."""

from collections.abc import Mapping
from typing import Any

from flamingo_jax.html.figures import signed

_DIGITS = 3


def rows(found: Mapping[str, Any], overall: float, count: int) -> tuple[list[str], list[list[str]]]:
    """The header, and a line for each group, for all captions and for what each pair's difference is.

    Args:
      found: see `groups.compare`.
      overall: the mean CIDEr of all captions.
      count: of all captions.
    """
    known = found["published"]
    printed = known["figures"] if known else []
    header = [found["attribute"], "captions", "CIDEr"]
    header += [f"{known['model']}, {one['shots']} shots" for one in printed]
    lines = [
        [
            group["name"],
            f"{group['captions']:,}",
            _figure(group["cider"]),
            *(_figure(one["cider"][at]) for one in printed),
        ]
        for at, group in enumerate(found["groups"])
    ]
    lines.append(["all captions", f"{count:,}", _figure(overall), *(_figure(one["overall"]) for one in printed)])
    for pair in found["pairs"]:
        name = f"{pair['first']} − {pair['second']}"
        lines.append(
            [name, "", signed(pair["value"], _DIGITS), *(signed(one["difference"], _DIGITS) for one in printed)]
        )
        lines.append(["  95% interval", "", _interval(pair), *("" for _ in printed)])
        lines.append(["  p", "", _p(pair["p"]), *(_p(one["p"]) for one in printed)])
    return header, lines


def _figure(value: float) -> str:
    return f"{value:.{_DIGITS}f}"


def _interval(pair: Mapping[str, Any]) -> str:
    if pair["low"] is None:
        return "-"
    return f"{signed(pair['low'], _DIGITS)} to {signed(pair['high'], _DIGITS)}"


def _p(value: float | None) -> str:
    return "-" if value is None else "< 0.001" if value < 0.001 else f"{value:.3f}" if value < 0.1 else f"{value:.2f}"
