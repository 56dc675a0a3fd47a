"""What operations cost that the compiler gives no cycles: the longer of their arithmetic and their memory traffic.

Those are kernels (Pallas), copies that run beside the computation, concatenations and scalars. Everything else in the
programs seen has the compiler's own estimate.
"""

import re

from flamingo_jax.planning.hlo import Array, Computation, Instruction

# Names for values, synchronization, and custom calls that only allocate or rename memory.
FREE = {
    "add-dependency",
    "after-all",
    "bitcast",
    "constant",
    "domain",
    "get-tuple-element",
    "optimization-barrier",
    "parameter",
    "partition-id",
    "recv",
    "recv-done",
    "replica-id",
    "send",
    "send-done",
    "tuple",
}
FREE_CALLS = {
    "AllocateBuffer",
    "AsyncCollectiveDone",
    "AsyncCollectiveStart",
    "ConcatBitcast",
    "Sharding",
    "SPMDFullToShardShape",
    "SPMDShardToFullShape",
}
_TARGET = re.compile(r'custom_call_target="([^"]*)"')
_HBM, _HOST = 0, 5
# Attention kernels that JAX ships (jax/experimental/pallas/ops/tpu): the matrix products of queries x keys x width that
# each makes. The backward pass computes the scores and the weights' gradient anew, then the gradient of the queries, or
# those of keys and values.
_ATTENTION = re.compile(r"(splash|flash)_(attention|mha|mqa)")
_PRODUCTS = (("dkv", 4), ("dq", 3), ("", 2))


def is_free(instruction: Instruction) -> bool:
    """Whether an instruction only names, joins or awaits what others compute."""
    if instruction.opcode == "custom-call":
        return call_target(instruction) in FREE_CALLS
    return instruction.opcode in FREE


def call_target(instruction: Instruction) -> str:
    """What a custom call calls."""
    match = _TARGET.search(instruction.attributes)
    return match.group(1) if match else ""


def label(instruction: Instruction) -> str:
    """A name to list an operation by: of a kernel its own, without the number that makes it unique."""
    if instruction.opcode == "custom-call":
        return re.sub(r"[.\d]+$", "", instruction.name)
    return instruction.opcode


def kernel_flops(instruction: Instruction, where: Computation) -> int:
    """FLOPs of a kernel: those that its author declared, those of attention from its shapes, or 0 if unknown.

    Attention is counted without a mask, as products of all queries and keys.
    """
    if instruction.kernel is not None:
        return instruction.kernel[0]
    if instruction.opcode != "custom-call" or not _ATTENTION.search(instruction.name):
        return 0
    arrays = [array for name in instruction.operands for array in where[name].arrays]
    arrays = [array for array in arrays if len(array.sizes) >= 3 and not array.dtype.startswith(("s", "u", "pred"))]
    if len(arrays) < 3:
        return 0
    queries, keys = arrays[:2]
    products = next(count for part, count in _PRODUCTS if part in instruction.name)
    return 2 * products * queries.elements * keys.sizes[-2]


def traffic(instruction: Instruction, where: Computation) -> int:
    """Bytes that an operation reads from and writes to HBM."""
    if instruction.kernel is not None:
        return instruction.kernel[1]
    result = sum(_in_memory(array) for array in instruction.arrays)
    operands = [array for name in instruction.operands if name in where.instructions for array in where[name].arrays]
    if instruction.opcode in ("dynamic-slice", "slice", "gather"):
        return 2 * result
    if instruction.opcode in ("dynamic-update-slice", "scatter"):
        return 2 * sum(_in_memory(array) for array in operands[-2:])
    return result + sum(_in_memory(array) for array in operands)


def copied(done: Instruction, start: Instruction) -> tuple[int, bool]:
    """Bytes that an asynchronous copy moves, and whether from or to the host."""
    moved = sum(array.bytes for array in done.arrays)
    return moved, any(array.space == _HOST for array in done.arrays + start.arrays)


def _in_memory(array: Array) -> int:
    return array.bytes if array.space == _HBM else 0
