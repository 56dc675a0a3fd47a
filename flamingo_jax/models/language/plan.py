"""Which layers of a decoder get a gated cross-attention block before them, and how that makes groups to scan over."""

import dataclasses
from typing import Any

import jax


@dataclasses.dataclass(frozen=True)
class LayerPlan:
    """A decoder's layers as `head` bare ones, `groups` groups of `every`, and a `tail` of fewer than `every`.

    Each group, and the tail if there is one, begins with a gated cross-attention block:

        L=8, every=3, first=0    [x 0 1 2] [x 3 4 5] [x 6 7]      head 0, groups 2, tail 2
        L=8, every=4, first=3    0 1 2 [x 3 4 5 6] [x 7]          head 3, groups 1, tail 1

    `graft` new layers, each after a block of its own, stand on top of the pretrained ones; they are not among
    `num_layers`.
    """

    head: int
    groups: int = 0
    every: int = 0
    tail: int = 0
    graft: int = 0

    @classmethod
    def make(cls, num_layers: int, every: int, first: int = 0, graft: int = 0) -> "LayerPlan":
        """A block before layers `first`, `first + every`, ...; `every` 0 means none between pretrained layers.

        Raises:
          ValueError: `first` is not a layer, or `every` or `graft` is negative.
        """
        if graft < 0:
            raise ValueError(f"{graft} grafted layers: there can be 0 or more")
        if every < 0 or not 0 <= first < num_layers:
            raise ValueError(
                f"cross-attention every {every} layers from layer {first} on: there are {num_layers} layers"
            )
        if every == 0:
            return cls(head=num_layers, graft=graft)
        groups, tail = divmod(num_layers - first, every)
        return cls(first, groups, every, tail, graft)

    @property
    def num_layers(self) -> int:
        return self.head + self.groups * self.every + self.tail

    @property
    def num_blocks(self) -> int:
        """How many gated cross-attention blocks there are."""
        return self.groups + (self.tail > 0) + self.graft

    def group(self, layers: Any) -> dict[str, Any]:
        """Splits a tree of per-layer stacks `[num_layers, ...]` into the parts that a decoder with this plan holds.

        Works on arrays of any kind that can be sliced and reshaped.
        """
        start, end = self.head, self.head + self.groups * self.every
        parts = {}
        if self.head:
            parts["head"] = jax.tree.map(lambda x: x[:start], layers)
        if self.groups:
            shape = (self.groups, self.every)
            parts["groups"] = {"layers": jax.tree.map(lambda x: x[start:end].reshape(*shape, *x.shape[1:]), layers)}
        if self.tail:
            parts["tail"] = {"layers": jax.tree.map(lambda x: x[end:], layers)}
        return parts
