"""The matrix products and convolutions of a traced function, and the parameter that each of them is with.

Counted are 2 FLOPs a multiply-add; those of a convolution that meet its padding are counted like the others. Bodies of
scans count as often as they run.
"""

import dataclasses
import functools
import math
from collections.abc import Sequence

from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn, Literal

_PRODUCTS = ("dot_general", "conv_general_dilated")


@dataclasses.dataclass(frozen=True)
class Value:
    """What is known of an array of the program.

    Attributes:
      weight: name of the parameter that it is made of, if of nothing else: the parameter cast, cut, or standardized.
      active: whether it depends on a trainable parameter.
      varies: whether it depends on the batch.
    """

    weight: str | None = None
    active: bool = False
    varies: bool = False


CONSTANT = Value()


@dataclasses.dataclass(frozen=True)
class Product:
    """One product of the program.

    Attributes:
      weight: the parameter that it is with; None: neither factor is made of one alone.
      size: elements of that factor.
      flops: of one execution.
      count: how often it is executed.
      active, varies: of the other factor, or of either if `weight` is None; see `Value`.
    """

    weight: str | None
    size: int
    flops: float
    count: int
    active: bool
    varies: bool


def products(closed: ClosedJaxpr, inputs: Sequence[Value]) -> list[Product]:
    """All products of a program (`jax.make_jaxpr(f)(...)`), in order.

    Args:
      inputs: what is known of each of its flat inputs.

    Raises:
      ValueError: there are products in a loop of which nobody can tell how often it runs.
    """
    found: list[Product] = []
    _walk(closed.jaxpr, list(inputs), 1, found)
    return found


def _walk(jaxpr: Jaxpr, inputs: Sequence[Value], times: int, found: list[Product]) -> list[Value]:
    """Adds the products to `found`; returns what is known of the outputs."""
    known = dict(zip(jaxpr.invars, inputs, strict=True)) | dict.fromkeys(jaxpr.constvars, CONSTANT)
    for equation in jaxpr.eqns:
        values = [CONSTANT if isinstance(each, Literal) else known[each] for each in equation.invars]
        outputs = _apply(equation, values, times, found)
        known |= zip(equation.outvars, outputs, strict=True)
    return [CONSTANT if isinstance(each, Literal) else known[each] for each in jaxpr.outvars]


def _apply(equation: JaxprEqn, values: list[Value], times: int, found: list[Product]) -> list[Value]:
    name = equation.primitive.name
    if name == "scan":
        return _scan(equation, values, times, found)
    if name == "cond":
        return _cond(equation, values, times, found)
    if name == "while":
        return _while(equation, values)
    if name in _PRODUCTS:
        found.append(_product(equation, values, times))
        return [dataclasses.replace(_made_of(values), weight=None)]
    for inner in equation.params.values():  # of jit, checkpoint and functions with gradients of their own
        inner = inner.jaxpr if isinstance(inner, ClosedJaxpr) else inner
        ends = (len(values), len(equation.outvars))
        if isinstance(inner, Jaxpr) and (len(inner.invars), len(inner.outvars)) == ends:
            return _walk(inner, values, times, found)
    return [_made_of(values)] * len(equation.outvars)


def _made_of(values: Sequence[Value]) -> Value:
    """What an operation without a meaning of its own makes of its operands."""
    active, varies = (any(getattr(each, name) for each in values) for name in ("active", "varies"))
    weights = [each.weight for each in values if each.weight]
    only = all(each.weight or each == CONSTANT for each in values)
    return Value(weights[0] if weights and only else None, active, varies)


def _either(one: Value, other: Value) -> Value:
    """What is known of an array that is one or the other."""
    weight = one.weight if one.weight == other.weight else None
    return Value(weight, one.active or other.active, one.varies or other.varies)


def _product(equation: JaxprEqn, values: list[Value], times: int) -> Product:
    left, right = (each.aval for each in equation.invars)
    size = equation.outvars[0].aval.size
    if equation.primitive.name == "dot_general":
        (contracted, _), _ = equation.params["dimension_numbers"]
        flops = 2 * size * math.prod(left.shape[axis] for axis in contracted)
    else:
        kernel = equation.params["dimension_numbers"].rhs_spec  # axes of output features, input features, window
        flops = 2 * size * (right.size // right.shape[kernel[0]])
    weights = [place for place, each in enumerate(values) if each.weight]
    if not weights:
        return Product(None, 0, flops, times, **_states(values))
    place = weights[-1]
    other = values[1 - place]
    return Product(values[place].weight, (left, right)[place].size, flops, times, **_states([other]))


def _states(values: Sequence[Value]) -> dict[str, bool]:
    made = _made_of(values)
    return {"active": made.active, "varies": made.varies}


def _scan(equation: JaxprEqn, values: list[Value], times: int, found: list[Product]) -> list[Value]:
    consts, carried = equation.params["num_consts"], equation.params["num_carry"]
    body, length = equation.params["jaxpr"].jaxpr, equation.params["length"]
    constants, carry, sliced = values[:consts], values[consts : consts + carried], values[consts + carried :]
    while True:  # what is carried round may come to depend on more in each round, until nothing is new
        outputs = _walk(body, [*constants, *carry, *sliced], 1, [])
        more = [_either(*pair) for pair in zip(carry, outputs[:carried], strict=True)]
        if more == carry:
            break
        carry = more
    return _walk(body, [*constants, *carry, *sliced], times * length, found)


def _cond(equation: JaxprEqn, values: list[Value], times: int, found: list[Product]) -> list[Value]:
    """The branch with the most FLOPs is counted."""
    ran = []
    for branch in equation.params["branches"]:
        inside: list[Product] = []
        ran.append((_walk(branch.jaxpr, values[1:], times, inside), inside))
    found += max((inside for _, inside in ran), key=lambda inside: sum(each.flops * each.count for each in inside))
    decided = dataclasses.replace(values[0], weight=None)
    outputs = [functools.reduce(_either, each) for each in zip(*(outputs for outputs, _ in ran), strict=True)]
    return [Value(each.weight, each.active, each.varies or decided.varies) for each in outputs]


def _while(equation: JaxprEqn, values: list[Value]) -> list[Value]:
    inside: list[Product] = []
    skipped = equation.params["cond_nconsts"]
    for _ in values:  # as many rounds as there are values are enough for all to depend on all
        constants = values[skipped : skipped + equation.params["body_nconsts"]]
        carry = values[skipped + len(constants) :]
        outputs = _walk(equation.params["body_jaxpr"].jaxpr, [*constants, *carry], 1, inside)
        carry = [_either(*pair) for pair in zip(carry, outputs, strict=True)]
        values = [*values[: skipped + len(constants)], *carry]
    if inside:
        raise ValueError("there are matrix products in a while loop: nobody can tell how often it runs")
    return carry
