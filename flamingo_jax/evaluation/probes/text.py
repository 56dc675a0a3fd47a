"""The figures of a probe as text for the terminal."""

from collections.abc import Mapping, Sequence
from typing import Any

from flamingo_jax.evaluation.columns import aligned

_HEAD = ("with pictures (95%)", "blind (95%)", "seeing adds (95%)")
_NONE = "-"


def table(title: str, found: Sequence[Mapping[str, Any]]) -> str:
    """A block for each number of shots, a line for each figure.

    Args:
      found: see `figures.write_figures`.
    """
    blocks = []
    for each in found:
        of = "" if each["selection"] == "random" or not each["shots"] else f", {each['selection']}"
        rows = [(f"{title}, {each['shots']} shots{of}", *_HEAD)]
        for one in each["figures"]:
            rows.append((one["name"], _told(one["seeing"]), _told(one["blind"]), _told(one["difference"], signed=True)))
        blocks.append("\n".join(aligned(rows)))
    return "\n\n".join(blocks)


def _told(value: Mapping[str, float] | None, signed: bool = False) -> str:
    if value is None:
        return _NONE
    sign = "+" if signed else ""
    return f"{value['value']:{sign}.1f} ({value['low']:{sign}.1f} to {value['high']:{sign}.1f})"
