"""What to change in a run that does not fit, with what each change would free: the most effective first."""

import contextlib
import dataclasses
import math
from collections.abc import Iterator
from typing import NamedTuple

import jax
from flax import linen as nn

from flamingo_jax.models.attention_kernels import XLA, runs_on
from flamingo_jax.models.remat import POLICIES
from flamingo_jax.parallel.rules import replicated
from flamingo_jax.planning.memory import Memory, gradient_bytes, shard_bytes, usable
from flamingo_jax.training.design import Design
from flamingo_jax.training.step import Batch, passes

_CHUNK = 64  # positions; fewer make products too small to fill a matrix unit
_LONG = 512  # positions from which on attention's scores are worth a kernel that never writes them
_KERNELS = ("splash", "flash", "cudnn")  # the best first
_WORTH = 0.02  # of what is too much: less than that is no advice


class _Change(NamedTuple):
    frees: float
    text: str


def advise(design: Design, batch: Batch, memory: Memory, capacity: int) -> tuple[str, ...]:
    """One sentence a change, with the names that gin binds.

    Every change is looked at alone. What temporaries would shrink by is a guess from shapes: a plan of the changed run
    tells.

    Args:
      batch: of the kind of step that needs most.
      memory: of that step.
      capacity: bytes of a chip.
    """
    excess = max(1, memory.peak - usable(capacity))
    kind, largest = max(memory.kinds.items(), key=lambda item: item[1])
    changes = [*_temporaries(design, batch, memory, capacity), *_weights(design, memory), *_trainable(design, memory)]
    changes = sorted((each for each in changes if each.frees >= _WORTH * excess), reverse=True)
    lines = [f"{gib(excess)} too much on each chip; the largest part is {kind}, {gib(largest)}"]
    lines += [f"{each.text} (frees about {gib(each.frees)})" for each in changes]
    return (*lines, _more_chips(design, memory, capacity))


def gib(size: float) -> str:
    """Bytes in the largest binary unit of which there is one."""
    for unit, scale in (("TiB", 2**40), ("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if size >= scale:
            return f"{size / scale:,.2f} {unit}"
    return f"{size:,.0f} B"


def _temporaries(design: Design, batch: Batch, memory: Memory, capacity: int) -> Iterator[_Change]:
    config, model = design.config, design.config.model
    activations = max(0, memory.temporaries - min(gradient_bytes(design), memory.temporaries))
    part = _largest_part(design, batch)
    count, length = part.microbatches, part.length
    local = part.rows // count
    # Each dataset's rows are cut into equal parts, not their sum.
    counts = [each for each in range(count + 1, part.divisible + 1) if part.divisible % each == 0]
    if counts:
        room = usable(capacity) - (memory.peak - activations)
        better = next((each for each in counts if activations * count / each <= room), counts[-1])
        yield _Change(
            activations * (1 - count / better),
            f"activations: set run.RunConfig.microbatches = {dict(config.microbatches) | {part.name: better}} "
            f"(now {count}, {local:,} rows on a device at a time)",
        )
    if model.remat != "full":
        better = POLICIES[POLICIES.index(model.remat) + 1 :]
        listed = ", then ".join(map(repr, better))
        yield _Change(
            activations * 0.6, f"activations: set flamingo.FlamingoConfig.remat = {listed} (now {model.remat!r})"
        )
    parts = _ways(design, "vocab")
    logits = local * length * model.language.vocab_size * 4 // parts
    chunk = config.loss_chunk or length
    if chunk > _CHUNK:
        yield _Change(
            logits * (chunk - _CHUNK) / length,
            f"logits: set run.RunConfig.loss_chunk = {_CHUNK} (now {config.loss_chunk}; those of all positions are "
            f"{gib(logits)} in float32)",
        )
    kernel = _kernel(design)
    if kernel is not None and length >= _LONG:
        scores = local * length**2 * 4 * model.language.num_heads // _ways(design, "heads")
        yield _Change(
            scores,
            f"attention's scores: set flamingo.FlamingoConfig.attention = {kernel!r} (now 'xla'; {length} positions)",
        )


def _weights(design: Design, memory: Memory) -> Iterator[_Change]:
    dtype = design.config.pretrained.frozen_dtype
    smaller = {"float32": ("bfloat16", 0.5), "bfloat16": ("int8", 0.5)}.get(dtype)
    if smaller is not None:
        name, share = smaller
        yield _Change(
            memory.frozen * share,
            f"frozen weights: set pretrained.PretrainedConfig.frozen_dtype = {name!r} (now {dtype!r})",
        )
    sizes, ways = dict(design.mesh.shape), _cut(design, design.frozen, memory.frozen)
    if ways < design.mesh.size:
        yield _Change(
            memory.frozen / 2,
            f"frozen weights: {_lie(design, ways)}; double mesh.MeshConfig.tensor (now {sizes['tensor']}) or .fsdp "
            f"(now {sizes['fsdp']}), with rules that cut weights by it, such as those of gin/sharding",
        )


def _trainable(design: Design, memory: Memory) -> Iterator[_Change]:
    size = design.mesh.size
    moments, ways = memory.optimizer + gradient_bytes(design), _cut(design, design.state.opt_state, memory.optimizer)
    if ways < size:
        yield _Change(
            moments * (1 - ways / size),
            f"gradients and the optimizer's moments: {_lie(design, ways)}; cut them by all axes of the mesh in "
            "mesh.MeshConfig.moment_rules, as gin/sharding/megatron_zero1.gin does",
        )
    ways = _cut(design, design.state.params, memory.trainable)
    if ways < size:
        yield _Change(
            memory.trainable / 2,
            f"trainable parameters: {_lie(design, ways)}; cut them by fsdp in mesh.MeshConfig.rules, as "
            "gin/sharding/fsdp.gin does, and double mesh.MeshConfig.fsdp",
        )


def _lie(design: Design, ways: int) -> str:
    """Where something that is cut in `ways` parts lies."""
    size = design.mesh.size
    return f"now whole on each of {size:,} chips" if ways == 1 else f"now in {ways:,} parts on {size:,} chips"


def _more_chips(design: Design, memory: Memory, capacity: int) -> str:
    """More chips, on the axes that there are, make smaller what is cut already."""
    state = design.state
    parts = ((design.frozen, memory.frozen), (state.params, memory.trainable), (state.opt_state, memory.optimizer))
    whole = sum(shard for tree, shard in parts if _cut(design, tree, shard) == 1) + memory.program
    room = usable(capacity) - whole
    if room <= 0:
        return f"more chips alone do not help: {gib(whole)} are whole on each"
    factor = max(2, math.ceil((memory.peak - whole) / room))
    return f"or a larger topology: {design.mesh.size * factor:,} chips or more of this kind, for the same batch"


class _Part(NamedTuple):
    """A pass through the language model.

    Attributes:
      rows, divisible: rows of all its datasets on a device, and the greatest common divisor of theirs.
      length: positions of a row.
      microbatches: in how many the rows are taken now.
    """

    name: str
    rows: int
    divisible: int
    length: int
    microbatches: int


def _largest_part(design: Design, batch: Batch) -> _Part:
    """The pass whose microbatch has the most positions on a device."""
    parts = []
    for name, datasets in passes(batch, design.config.joined).items():
        tokens = [batch[each]["tokens"] for each in datasets]
        rows = [x.sharding.shard_shape(x.shape)[0] for x in tokens]
        count = design.config.microbatches.get(name, 1)
        parts.append(_Part(name, sum(rows), math.gcd(*rows), tokens[0].shape[1], count))
    return max(parts, key=lambda part: part.rows * part.length / part.microbatches)


def _kernel(design: Design) -> str | None:
    """A kernel in XLA's place that runs on these devices and that the model's config accepts; None if there is none."""
    model, platform = design.config.model, design.mesh.devices.flat[0].platform
    for kernel in _KERNELS if model.attention == XLA else ():
        if runs_on(kernel, platform):
            with contextlib.suppress(ValueError):  # what a kernel cannot do, the config says
                return dataclasses.replace(model, attention=kernel).attention
    return None


def _ways(design: Design, axis: str) -> int:
    """In how many parts the rules cut a logical axis of activations."""
    (axes,) = nn.logical_to_mesh_axes((axis,), list(design.config.mesh.rules))
    axes = (axes,) if isinstance(axes, str) else axes or ()
    return math.prod(design.mesh.shape[each] for each in axes)


def _cut(design: Design, tree: object, shard: int) -> int:
    """In how many parts a tree is cut, of which each device holds `shard` bytes."""
    whole = replicated(design.mesh)
    tree = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=whole), tree)
    return max(1, round(shard_bytes(tree) / max(1, shard)))
