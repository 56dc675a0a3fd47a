"""Canonical parameter names: one tensor a layer, whatever stacks a model with its own grouping holds them in.

Weight maps, files of ours and fingerprints know canonical names alone (`language_model/layers/7/query/kernel`,
`language_model/gated_cross_attention/1/attention_gate`, `vision_encoder/layers/3/up/bias`), so that the same weights
serve a model with another cross-attention placement. The model itself scans over stacks
(`language_model/groups/layers/query/kernel`, `[groups, every, ...]`). The two differ by leading axes alone, and a path
tells what those are: with the plan of the decoder, it gives the name of each element of its leaf.
"""

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np

from flamingo_jax.interop.layouts import Shape
from flamingo_jax.models.language.plan import LayerPlan

_LANGUAGE = "language_model/"
# A stack of an NFNet's blocks, `blocks_9_to_20/`, which by themselves are `block_7/`: what stands before it, the number
# of its first, and what stands after it.
_BLOCKS = re.compile(r"(vision_encoder/)blocks_(\d+)_to_\d+/(.*)")
# How many axes each stack of a decoder has: its path within `language_model/` -> axes.
_STACKS = {
    "head/": 1,
    "groups/layers/": 2,
    "groups/gated_cross_attention/": 1,
    "tail/layers/": 1,
    "tail/gated_cross_attention/": 0,
    "graft/layers/": 2,
    "graft/gated_cross_attention/": 1,
}


class Place(NamedTuple):
    """Where a parameter lies in a model: the leaf's path, and the index on its stack axes."""

    path: str
    index: tuple[int, ...]


def canonical_name(place: Place, plan: LayerPlan) -> str:
    """The name of the parameter at `place` in a model whose decoder has this plan."""
    path, index = place
    if blocks := _BLOCKS.fullmatch(path):
        before, first, rest = blocks.groups()
        return f"{before}block_{int(first) + index[0]}/{rest}"
    stack = _stack(path)
    if stack is None:
        return path
    rest = path.removeprefix(stack)
    if not stack.startswith(_LANGUAGE):
        return f"{stack}{index[0]}/{rest}"
    part = stack.removeprefix(_LANGUAGE).partition("/")[0]
    if stack.endswith("gated_cross_attention/"):
        before = {"groups": 0, "tail": plan.groups, "graft": plan.groups + (plan.tail > 0)}[part]
        return f"{_LANGUAGE}gated_cross_attention/{before + sum(index)}/{rest}"
    if part == "graft":
        return f"{stack}{index[0]}/{rest}"
    if part == "groups":
        layer = plan.head + index[0] * plan.every + index[1]
    else:
        layer = index[0] + (plan.head + plan.groups * plan.every if part == "tail" else 0)
    return f"{_LANGUAGE}layers/{layer}/{rest}"


def places(stacked: Mapping[str, Shape], plan: LayerPlan) -> dict[str, Place]:
    """The place of each parameter by canonical name, leaf by leaf.

    Args:
      stacked: the shape of each leaf of the model, by path.
      plan: of its decoder.
    """
    found = {}
    for path, shape in stacked.items():
        for index in np.ndindex(shape[: _stack_axes(path)]):
            place = Place(path, index)
            found[canonical_name(place, plan)] = place
    return found


def flatten_shapes(stacked: Mapping[str, Shape], plan: LayerPlan) -> dict[str, Shape]:
    """The shape of each parameter by canonical name, in canonical order; arguments as of `places`."""
    found = places(stacked, plan)
    return {name: tuple(stacked[found[name].path][len(found[name].index) :]) for name in in_order(found)}


def in_order(names: Iterable[str]) -> list[str]:
    """The names in canonical order: by their parts, and layers by number."""
    return sorted(
        names, key=lambda name: [(part.isdigit(), int(part) if part.isdigit() else part) for part in name.split("/")]
    )


def _stack(path: str) -> str | None:
    """The beginning of `path` below which every leaf is stacked; None if it is not."""
    if path.startswith(_LANGUAGE):
        rest = path.removeprefix(_LANGUAGE)
        return next((f"{_LANGUAGE}{stack}" for stack in _STACKS if rest.startswith(stack)), None)
    before, found, _ = path.partition("/layers/")
    return f"{before}/layers/" if found else None


def _stack_axes(path: str) -> int:
    if _BLOCKS.fullmatch(path):
        return 1
    stack = _stack(path)
    if stack is None:
        return 0
    return _STACKS[stack.removeprefix(_LANGUAGE)] if stack.startswith(_LANGUAGE) else 1
