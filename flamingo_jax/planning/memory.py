"""What a step holds in a chip's memory, by kind."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import jax

from flamingo_jax.training.design import Design
from flamingo_jax.training.step import Batch

RESERVE = 0.02
"""Share of a chip's memory that a plan leaves free, for what the step's program does not show: the next batch on its
way in, fragmentation between programs, and the runtime's own."""


@dataclasses.dataclass(frozen=True)
class Memory:
    """Bytes of one chip while the step runs.

    Attributes:
      frozen, trainable, optimizer, batch: what the step takes, as it lies on the chip.
      padding: what those take more than their elements do, because arrays are laid out in tiles.
      outputs: what the step gives that does not take the place of what it took.
      temporaries: activations, gradients, and weights that are gathered or cast.
      program: its instructions.
    """

    frozen: int
    trainable: int
    optimizer: int
    batch: int
    padding: int = 0
    outputs: int = 0
    temporaries: int = 0
    program: int = 0

    @property
    def kinds(self) -> dict[str, int]:
        """Kind -> bytes; they add up to `peak`."""
        return dataclasses.asdict(self)

    @property
    def peak(self) -> int:
        return sum(self.kinds.values())


def resident(design: Design, batch: Batch) -> Memory:
    """What the design's shardings alone say: all that a step takes."""
    state = design.state
    return Memory(
        frozen=shard_bytes(design.frozen),
        trainable=shard_bytes(state.params),
        optimizer=shard_bytes((state.opt_state, state.step)),
        batch=shard_bytes(batch),
    )


def compiled_memory(taken: Memory, stats: Any) -> Memory:
    """With what a compiled program says of itself.

    Args:
      taken: see `resident`.
      stats: `compiled.memory_analysis()`. Its `peak_memory_in_bytes` is not looked at: libtpu counts buffers in vector
        memory in it too, and leaves out the program. The temporaries are the size of the region that they are packed
        into, gaps and all, so what is added up here is what is allocated.
    """
    # What the program does not read (the encoder, in a step without images) is no argument of it, but lies there.
    padding = max(0, stats.argument_size_in_bytes - taken.peak)
    return dataclasses.replace(
        taken,
        padding=padding,
        outputs=max(0, stats.output_size_in_bytes - stats.alias_size_in_bytes),
        temporaries=stats.temp_size_in_bytes,
        program=stats.generated_code_size_in_bytes,
    )


def exceeded_memory(taken: Memory, total: int) -> Memory:
    """Of a program that the compiler refused, because it would need `total` bytes: the rest are temporaries."""
    return dataclasses.replace(taken, temporaries=max(0, total - taken.peak))


def usable(capacity: int) -> int:
    """Bytes that a plan may fill of a chip's `capacity`."""
    return int(capacity * (1 - RESERVE))


def shard_bytes(tree: Any) -> int:
    """Bytes of one device's part of each array (`ShapeDtypeStruct`s with shardings) of a tree."""
    return sum(math.prod(leaf.sharding.shard_shape(leaf.shape)) * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))


def gradient_bytes(design: Design) -> int:
    """Bytes of one device's part of the accumulated gradient, in float32; a part of the temporaries."""
    shapes: Mapping[str, Any] = design.shapes
    return sum(math.prod(sharding.shard_shape(shapes[path].shape)) * 4 for path, sharding in design.moments.items())
