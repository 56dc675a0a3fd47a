"""Parameters per module, frozen and trainable."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from flamingo_jax.training.freezing import FROZEN

_BLOCK = "gated_cross_attention"  # a module within the language model that is counted by itself


@dataclasses.dataclass(frozen=True)
class Count:
    """Numbers of parameters."""

    frozen: int = 0
    trainable: int = 0

    @property
    def total(self) -> int:
        return self.frozen + self.trainable

    def __add__(self, other: "Count") -> "Count":
        return Count(self.frozen + other.frozen, self.trainable + other.trainable)


def module_of(path: str) -> str:
    """The module that a parameter (`language_model/groups/gated_cross_attention/key/kernel`) is counted with."""
    first, *rest = path.split("/")
    return f"{first}/{_BLOCK}" if _BLOCK in rest else first


def count_by_module(shapes: Mapping[str, Any], labels: Mapping[str, str]) -> dict[str, Count]:
    """The counts of each module, sorted by name. `shapes` has a `.size` at each path."""
    counts: dict[str, Count] = {}
    for path, leaf in shapes.items():
        one = Count(frozen=leaf.size) if labels[path] == FROZEN else Count(trainable=leaf.size)
        counts[module_of(path)] = counts.get(module_of(path), Count()) + one
    return dict(sorted(counts.items()))
