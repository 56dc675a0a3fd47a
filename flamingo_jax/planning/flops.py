"""Multiplications and additions of the matrix products and convolutions in a compiled program.

The TPU compiler turns every matrix product into a convolution: the contracted axis becomes the feature axis, and axes
that both factors have (the batch of a batched product) become spatial axes whose window meets one element of the other
factor at a time, between padding. So only the places where a window's element falls on a real input element are
counted, as XLA's own cost analysis does (xla/service/hlo_cost_analysis.cc, HandleConvolution); products with padding
or with zeros between the elements of a strided convolution's gradient are not work that the mathematics asks for.
"""

import functools
import math
import re

from flamingo_jax.planning.hlo import Computation, Instruction

_LABELS = re.compile(r"dim_labels=(\w+)_(\w+)->(\w+)")
_WINDOW = re.compile(r"window=\{([^}]*)\}")
_GROUPS = re.compile(r"(feature|batch)_group_count=(\d+)")
_CONTRACTED = re.compile(r"lhs_contracting_dims=\{([\d,]*)\}")


def product_flops(instruction: Instruction, where: Computation) -> int:
    """FLOPs (2 a multiply-add) of one execution of a `dot` or a `convolution`, 0 of anything else."""
    if instruction.opcode == "dot":
        (left,) = where[instruction.operands[0]].arrays
        contracted = _CONTRACTED.search(instruction.attributes)
        axes = [int(axis) for axis in contracted.group(1).split(",") if axis] if contracted else []
        return 2 * instruction.arrays[0].elements * math.prod(left.sizes[axis] for axis in axes)
    if instruction.opcode == "convolution":
        return _convolution(instruction, where)
    return 0


def _convolution(instruction: Instruction, where: Computation) -> int:
    inputs, kernel = (where[name].arrays[0].sizes for name in instruction.operands[:2])
    output = instruction.arrays[0].sizes
    input_labels, kernel_labels, output_labels = _LABELS.search(instruction.attributes).groups()
    groups = {name: int(count) for name, count in _GROUPS.findall(instruction.attributes)}
    window = _WINDOW.search(instruction.attributes)
    settings = dict(item.split("=") for item in window.group(1).split()) if window else {}
    spatial = sorted(label for label in input_labels if label.isdigit())
    positions = 1
    for axis, label in enumerate(spatial):
        pad = _entry(settings, "pad", axis, "0_0")
        positions *= _valid_positions(
            size=inputs[input_labels.index(label)],
            window=kernel[kernel_labels.index(label)],
            outputs=output[output_labels.index(label)],
            low=int(pad.split("_")[0]),
            stride=int(_entry(settings, "stride", axis, "1")),
            input_dilation=int(_entry(settings, "lhs_dilate", axis, "1")),
            window_dilation=int(_entry(settings, "rhs_dilate", axis, "1")),
        )
    # A kernel's input features are already those of one group.
    multiplications = (
        kernel[kernel_labels.index("i")]
        * output[output_labels.index("f")]
        * (inputs[input_labels.index("b")] // groups.get("batch", 1))
        * positions
    )
    return 2 * multiplications


def _entry(settings: dict[str, str], key: str, axis: int, default: str) -> str:
    return settings[key].split("x")[axis] if key in settings else default


@functools.lru_cache(maxsize=4096)
def _valid_positions(
    size: int, window: int, outputs: int, low: int, stride: int, input_dilation: int, window_dilation: int
) -> int:
    """Pairs of an output and a window element that meet a real element of the input, along one axis.

    Output `o` and window element `k` meet place o * stride + k * window_dilation - low of the input with
    `input_dilation` - 1 holes after each element. A reversed window has the same number of pairs.
    """
    if low == 0 and input_dilation == 1 and (outputs - 1) * stride + (window - 1) * window_dilation < size:
        return outputs * window
    common = math.gcd(stride, input_dilation)
    period = input_dilation // common  # every so many outputs one falls on an element, not a hole
    inverse = pow(stride // common, -1, period) if period > 1 else 0
    last = (size - 1) * input_dilation
    pairs = 0
    for k in range(window):
        place = k * window_dilation - low
        if place % common:
            continue
        first = max(0, -(place // stride))  # the first output at a place >= 0
        end = min(outputs - 1, (last - place) // stride)
        if period > 1:
            first += (-(place // common) * inverse - first) % period
        pairs += max(0, (end - first) // period + 1) if end >= first else 0
    return pairs
