"""Weight maps: which tensor of another code base holds which of our parameters, as data that is read both ways."""

import dataclasses
import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from flamingo_jax.interop.files.tensors import TensorSpec, WeightsError
from flamingo_jax.interop.layouts import Layout, Shape


class Rule(NamedTuple):
    """The tensor `theirs` holds the parameters `ours` (canonical names, see `interop.canonical`) in `layout`."""

    theirs: str
    ours: tuple[str, ...]
    layout: Layout


class Drop(NamedTuple):
    """Tensors whose whole name matches `pattern` have no place in the model; `reason` tells the user why."""

    pattern: str
    reason: str


@dataclasses.dataclass(frozen=True)
class WeightMap:
    """Rules for every parameter, and what may be left in the file."""

    rules: tuple[Rule, ...]
    drops: tuple[Drop, ...] = ()

    def under(self, prefix: str) -> "WeightMap":
        """The same map, for parameters that stand under `prefix` (`vision_encoder/`)."""
        return WeightMap(
            tuple(rule._replace(ours=tuple(prefix + name for name in rule.ours)) for rule in self.rules), self.drops
        )

    def __add__(self, other: "WeightMap") -> "WeightMap":
        return WeightMap(self.rules + other.rules, self.drops + other.drops)


def compare(
    specs: Mapping[str, TensorSpec], weights: WeightMap, ours: Mapping[str, Shape]
) -> tuple[dict[str, str], list[str]]:
    """Compares a file's tensors with a weight map, by names and shapes alone.

    Args:
      specs: the file's tensors.
      weights: the map.
      ours: the shape of each parameter that the map names, by canonical name.

    Returns:
      The tensors that will be dropped, each with the reason; and a sentence about each kind of problem, with the names
      of the tensors that are missing, are not known, or have the wrong shape.
    """
    rules = {rule.theirs: rule for rule in weights.rules}
    if len(rules) != len(weights.rules):
        raise ValueError("a weight map with two rules for one tensor")
    missing = [f"{name} (for {', '.join(rules[name].ours)})" for name in rules if name not in specs]
    misshapen = []
    for name in rules.keys() & specs.keys():
        wanted = rules[name].layout.their_shape([ours[target] for target in rules[name].ours])
        if specs[name].shape != wanted:
            misshapen.append(
                f"{name} is {specs[name].shape}, the model wants {wanted} for {', '.join(rules[name].ours)}"
            )
    dropped, extra = {}, []
    for name in specs.keys() - rules.keys():
        reason = next((drop.reason for drop in weights.drops if re.fullmatch(drop.pattern, name)), None)
        if reason is None:
            extra.append(name)
        else:
            dropped[name] = reason
    problems = [
        f"{len(names)} tensors {what}: {some(names)}"
        for what, names in (
            ("are missing", missing),
            ("have no place in the model", sorted(extra)),
            ("have the wrong shape", sorted(misshapen)),
        )
        if names
    ]
    return dropped, problems


def check(path: str, specs: Mapping[str, TensorSpec], weights: WeightMap, ours: Mapping[str, Shape]) -> dict[str, str]:
    """Compares the file at `path` with its weight map, as `compare` does.

    Returns:
      The tensors that will be dropped, each with the reason.

    Raises:
      WeightsError: one message with every tensor that is missing, is not known, or has the wrong shape.
    """
    dropped, problems = compare(specs, weights, ours)
    if problems:
        raise WeightsError(f"{path} does not fit the model's config. {'. '.join(problems)}")
    return dropped


def some(names: Iterable[str], most: int = 6) -> str:
    """The first few names, and how many more there are."""
    names = list(names)
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return "; ".join(names[:most]) + more
