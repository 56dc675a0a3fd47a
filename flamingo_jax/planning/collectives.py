"""The exchanges of data between chips that a compiled program makes.

Forms that the TPU compiler writes, seen in programs for v4, v5e, v5p and v6e (libtpu 0.0.52):

- all-gather, all-reduce, reduce-scatter, all-to-all and collective-permute as such, or as `-start` and `-done`;
- a fusion of an all-reduce and a slice of its result, `all-reduce-scatter`: a reduce-scatter;
- a chain of fusions, each with a copy of the same all-gather, whose first ends in a custom call AsyncCollectiveStart
  and whose last in AsyncCollectiveDone, with matrix products in between: one all-gather, hidden behind the products;
- loops of collective-permutes and products (windowed products): permutations like any other;
- `send` and `recv` to the "megascale" runtime: what goes between slices, with the kind among the attributes.

None of them has cycles of its own, so nothing is counted twice.
"""

import dataclasses
import re

from flamingo_jax.planning.groups import read_groups
from flamingo_jax.planning.hlo import Array, Computation, Instruction
from flamingo_jax.planning.network import Network, sent_bytes

KINDS = ("all-gather", "reduce-scatter", "all-reduce", "all-to-all", "collective-permute")
# A broadcast over a tree or with parts of different sizes: at most the cost of these.
_LIKE = {"collective-broadcast": "collective-permute", "ragged-all-to-all": "all-to-all"}
_CHANNEL = re.compile(r"channel_id=(\d+)")
_CHAIN = re.compile(r'chain_id="(\d+)"')
_SLICES = re.compile(r"slice_sizes=\{((?:\{[\d,]*\},?)*)\}")
_TRANSFER = re.compile(r'_xla_megascale_transfer_type="(\w+)"')
_TARGETS = re.compile(r'_xla_megascale_target="?\{+([^}]*)\}')


@dataclasses.dataclass(frozen=True)
class Collective:
    """Exchanges of one kind over the same axes of the mesh, added up over a step.

    Attributes:
      kind: all-gather, reduce-scatter, all-reduce, all-to-all or collective-permute.
      axes: the axes of the mesh along which the chips that take part differ.
      network: "ici", the links within a slice, or "dcn", between slices.
      count: how many in a step.
      bytes: that each chip sends in a step.
      seconds: in a step, if nothing else uses the links.
    """

    kind: str
    axes: tuple[str, ...]
    network: str
    count: float
    bytes: float
    seconds: float


def kind_of(instruction: Instruction) -> str | None:
    """Which collective an instruction is or begins, None if it is none."""
    kind = instruction.opcode.removesuffix("-start")
    kind = _LIKE.get(kind, kind)
    return kind if kind in KINDS else None


def collective(instruction: Instruction, where: Computation, network: Network, scattered: bool = False) -> Collective:
    """One execution of a collective.

    Args:
      instruction: one of which `kind_of` is not None.
      where: the computation that it is in.
      network: what it runs over.
      scattered: an all-reduce of which each chip keeps only its part.
    """
    kind = "reduce-scatter" if scattered else kind_of(instruction)
    payload = _payload(instruction, where)
    groups = read_groups(instruction.attributes, network.partitions)
    if kind == "collective-permute":
        groups = groups[groups[:, 0] != groups[:, 1]]
        if not len(groups):
            return Collective(kind, (), "ici", 1, 0, 0.0)
    return Collective(
        kind=kind,
        axes=network.axes(groups),
        network="ici",
        count=1,
        bytes=sent_bytes(kind, payload, groups.shape[1]),
        seconds=network.seconds(kind, groups, payload),
    )


def between_slices(send: Instruction, where: Computation, network: Network) -> Collective | None:
    """One exchange between slices, None if `send` is none (a transfer to the host)."""
    transfer = _TRANSFER.search(send.attributes)
    if transfer is None:
        return None
    kind = transfer.group(1).lower().replace("_", "-")
    kind = kind if kind in KINDS else "collective-permute"
    payload = sum(array.bytes for array in where[send.operands[0]].arrays)
    members = _targets(send.attributes) if kind != "collective-permute" else 2
    sent = sent_bytes(kind, payload, members)
    return Collective(kind, network.slice_axes, "dcn", 1, sent, network.slice_seconds(sent))


def same_exchange(instruction: Instruction) -> tuple[str, str] | None:
    """What the copies of one collective in a chain of fusions have in common, None outside of such a chain."""
    chain, channel = _CHAIN.search(instruction.attributes), _CHANNEL.search(instruction.attributes)
    return (chain.group(1), channel.group(1)) if chain and channel else None


def _payload(instruction: Instruction, where: Computation) -> int:
    arrays = [array for name in instruction.operands for array in where[name].arrays]
    if kind_of(instruction) == "collective-permute" and (match := _SLICES.search(instruction.attributes)):
        sizes = [tuple(map(int, part.split(","))) for part in re.findall(r"\{([\d,]+)\}", match.group(1))]
        return sum(Array(arrays[0].dtype, each).bytes for each in sizes)
    return sum(array.bytes for array in arrays)


def _targets(attributes: str) -> int:
    """Slices of an exchange, written as {1,2} or {1:2} before the chips of each, or as the chips of one group."""
    match = _TARGETS.search(attributes)
    count = 0
    for part in match.group(1).split(",") if match else ():
        first, _, last = part.strip().partition(":")
        count += int(last) - int(first) + 1 if last else 1
    return max(count, 2)
