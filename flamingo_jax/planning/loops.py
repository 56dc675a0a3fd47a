"""How often the loops of a compiled program run.

The TPU compiler does not write trip counts down, so they are read from the loop: a counter of the carried tuple, its
start in the tuple that enters, its step in the body and its bound in the condition. A loop of `jax.lax.scan` and the
compiler's own (windowed products) are of this form.
"""

from flamingo_jax.planning.hlo import Computation, Instruction, Program

# What hands a scalar on unchanged.
_SAME = {"copy", "bitcast", "convert", "copy-done", "copy-start", "optimization-barrier", "reshape", "broadcast"}
_DIRECTION = ("LT", "LE", "GT", "GE", "NE")


class Loops:
    """Trip counts of one program's loops."""

    def __init__(self, program: Program):
        self._program = program
        self._callers = program.callers()
        self._asked: set[tuple[str, int]] = set()  # elements that are being followed: two may depend on each other

    def trips(self, loop: Instruction) -> int | None:
        """How often the body of `loop` runs, None if it depends on data or is of a form that is not known."""
        if loop.trips is not None:
            return loop.trips
        condition = self._program.computations[loop.computation("condition")]
        body = self._program.computations[loop.computation("body")]
        compared = self._comparison(condition)
        if compared is None:
            return None
        where, left, right, direction = compared
        turned = {"LT": "GT", "LE": "GE", "GT": "LT", "GE": "LE", "NE": "NE"}[direction]
        for counter, limit, way in ((left, right, direction), (right, left, turned)):
            index, offset = self._counter(where, counter)
            step = self._step(body, index) if index is not None else None
            bound = self._value(where, limit) if step else None
            start = self._carried(loop, index, entering=True) if bound is not None else None
            if start is not None:
                return _count(start + offset, bound, step, way)
        return None

    def _comparison(self, condition: Computation) -> tuple[Computation, str, str, str] | None:
        """The root comparison of a condition: where it is, its two operands and its direction."""
        where, root = condition, condition[condition.root]
        while root.opcode in ("fusion", "call", *_SAME):
            if root.opcode in _SAME:
                root = where[root.operands[0]]
                continue
            where = self._program.computations[root.computation("calls") or root.computation("to_apply")]
            root = where[where.root]
        if root.opcode != "compare":
            return None
        direction = next((each for each in _DIRECTION if f"direction={each}" in root.attributes), None)
        return (where, *root.operands, direction) if direction else None

    def _counter(self, where: Computation, name: str) -> tuple[int | None, int]:
        """Which element of the loop's tuple a value is, and a constant added to it."""
        instruction = where[name]
        if instruction.opcode in _SAME:
            return self._counter(where, instruction.operands[0])
        if instruction.opcode == "get-tuple-element" and where[instruction.operands[0]].opcode == "parameter":
            return _index(instruction), 0
        if instruction.opcode == "parameter":
            outside = self._outside(where, instruction)
            return self._counter(*outside) if outside else (None, 0)
        if instruction.opcode in ("add", "subtract"):
            left, right = instruction.operands
            index, offset = self._counter(where, left)
            if index is None and instruction.opcode == "add":
                index, offset = self._counter(where, right)
                right = left
            constant = self._value(where, right) if index is not None else None
            if constant is not None:
                return index, offset + (constant if instruction.opcode == "add" else -constant)
        return None, 0

    def _step(self, body: Computation, index: int) -> int | None:
        """What the body adds to an element of the tuple; 0: nothing, None: not a constant."""
        root, key = body[body.root], (body.name, index)
        if root.opcode != "tuple" or key in self._asked:
            return None
        self._asked.add(key)
        counted, step = self._counter(body, root.operands[index])
        self._asked.discard(key)
        return step if counted == index else None

    def _outside(self, where: Computation, parameter: Instruction) -> tuple[Computation, str] | None:
        """The operand that a fusion or a call passes for a parameter of what it runs."""
        caller = self._callers.get(where.name)
        if caller is None or caller[1].opcode == "while":
            return None
        return caller[0], caller[1].operands[int(parameter.operands[0])]

    def _carried(self, loop: Instruction, index: int, entering: bool) -> int | None:
        """The constant in an element of a loop's tuple: when it is entered, or all along (None if it changes)."""
        body = loop.computation("body")
        if not entering and self._step(self._program.computations[body], index) != 0:
            return None
        where, _ = self._callers[body]
        return self._element(where, loop.operands[0], index)

    def _element(self, where: Computation, name: str, index: int) -> int | None:
        """The constant in an element of a tuple."""
        instruction = where[name]
        if instruction.opcode == "tuple":
            return self._value(where, instruction.operands[index])
        if instruction.opcode == "while":
            return self._carried(instruction, index, entering=False)
        if instruction.opcode in _SAME:
            return self._element(where, instruction.operands[0], index)
        if instruction.opcode == "parameter":
            _, loop = self._callers.get(where.name, (None, None))
            if loop is not None and loop.opcode == "while":
                return self._carried(loop, index, entering=False)
        return None

    def _value(self, where: Computation, name: str) -> int | None:
        """The integer that an instruction yields, if it is a constant wherever it was computed."""
        instruction = where[name]
        if instruction.opcode == "constant":
            text = instruction.operands[0] if instruction.operands else ""
            return int(text) if text.lstrip("-").isdigit() else None
        if instruction.opcode in _SAME:
            return self._value(where, instruction.operands[0])
        if instruction.opcode == "get-tuple-element":
            return self._element(where, instruction.operands[0], _index(instruction))
        if instruction.opcode == "parameter":
            outside = self._outside(where, instruction)
            return self._value(*outside) if outside else None
        if instruction.opcode in ("add", "subtract", "multiply"):
            left, right = (self._value(where, operand) for operand in instruction.operands)
            if left is None or right is None:
                return None
            return {"add": left + right, "subtract": left - right, "multiply": left * right}[instruction.opcode]
        return None


def _index(instruction: Instruction) -> int:
    return int(instruction.attributes.partition("index=")[2].partition(",")[0])


def _count(start: int, bound: int, step: int, direction: str) -> int | None:
    """Iterations of `for (i = start; i <direction> bound; i += step)`."""
    if direction == "NE":
        quotient, rest = divmod(bound - start, step)
        return quotient if not rest and quotient >= 0 else None
    if (step > 0) != (direction in ("LT", "LE")):
        return None
    distance = abs(bound - start) if (bound - start) * step > 0 else 0
    if direction in ("LE", "GE") and (bound - start) * step >= 0:
        distance += 1
    return -(-distance // abs(step))
