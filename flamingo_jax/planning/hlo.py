"""Reads the text of a compiled program, `compiled.as_text()`, as far as an estimate of its cost needs it.

The text has one line an instruction (a few run over several, where a kernel's metadata have line breaks) and may be
100 MB long, most of it layouts and settings: lines are read one by one and only what is asked for later is kept.
"""

import dataclasses
import functools
import io
import re
from collections.abc import Iterator, Mapping

# Shape, opcode and operands of `%name = shape opcode(operands), attributes`; a shape ends in one of these brackets.
_OPCODE = re.compile(r"[\]})] ([a-z][a-z0-9\-]*)\(")
_START = re.compile(r"\s+(ROOT )?%?(\S+) = ")
_HEADER = re.compile(r"(ENTRY )?%?([^\s(]+) \(.*\{\s*$")
_END = re.compile(r"\}(, execution_thread=\S+)?\s*$")
_OPERAND = re.compile(r"%([^\s,()]+)")
_ARRAY = re.compile(r"([a-z][a-z0-9]*)\[([\d,<=]*)\](?:\{([^}]*)\})?")
_SPACE = re.compile(r"S\((\d+)\)")
_CYCLES = re.compile(r'"estimated_cycles":"?(\d+)')
_TRIPS = re.compile(r'"known_trip_count":\{"n":"?(\d+)')
_KERNEL = re.compile(r'"cost_estimate":\{"flops":"?(\d+)"?,"transcendentals":"?\d+"?,"bytes_accessed":"?(\d+)')
_COMPUTATION = {key: re.compile(rf"\b{key}=%?([^\s,}}]+)") for key in ("calls", "to_apply", "body", "condition")}
_BRANCHES = re.compile(r"branch_computations=\{([^}]*)\}")
_TWO_BRANCHES = re.compile(r"(?:true|false)_computation=%?([^\s,}]+)")

_BITS = {"pred": 8, "bf16": 16, "token": 0, "opaque": 0}


@dataclasses.dataclass(frozen=True, slots=True)
class Array:
    """Type, sizes and memory space (0: HBM, 1: the chip's vector memory, 5: the host's) of an array."""

    dtype: str
    sizes: tuple[int, ...]
    space: int = 0

    @property
    def elements(self) -> int:
        """How many."""
        count = 1
        for size in self.sizes:
            count *= size
        return count

    @property
    def bytes(self) -> int:
        """Without padding."""
        bits = _BITS.get(self.dtype)
        if bits is None:
            bits = int(re.search(r"\d+", self.dtype).group())  # f32, s8, u4, f8e4m3fn, c64
        return (self.elements * bits + 7) // 8


@dataclasses.dataclass(slots=True)
class Instruction:
    """One line of a computation.

    Attributes:
      name: unique in the program.
      opcode: e.g. "fusion".
      shape: the result's, as text; `arrays` reads it.
      operands: names of instructions of the same computation; of a parameter or a constant, the text in brackets.
      attributes: the text after the operands, without metadata and the compiler's settings.
      cycles: the compiler's estimate for one execution, None if it made none.
      trips: how often a loop runs, if the compiler wrote it down.
      kernel: FLOPs and bytes of one execution that the author of a kernel declared.
    """

    name: str
    opcode: str
    shape: str
    operands: tuple[str, ...]
    attributes: str
    cycles: int | None = None
    trips: int | None = None
    kernel: tuple[int, int] | None = None

    @property
    def arrays(self) -> tuple[Array, ...]:
        """Of the result; all of a tuple's."""
        return read_shape(self.shape)

    def computation(self, key: str) -> str | None:
        """Name of the computation that the attribute `key` (calls, to_apply, body, condition) names."""
        match = _COMPUTATION[key].search(self.attributes)
        return match.group(1) if match else None

    @property
    def branches(self) -> tuple[str, ...]:
        """Names of a conditional's computations."""
        if match := _BRANCHES.search(self.attributes):
            return tuple(name.strip().lstrip("%") for name in match.group(1).split(","))
        return tuple(_TWO_BRANCHES.findall(self.attributes))


@dataclasses.dataclass(slots=True)
class Computation:
    """Instructions by name, in the order of execution, and the name of the one whose result is the computation's."""

    name: str
    instructions: dict[str, Instruction]
    root: str = ""

    def __iter__(self) -> Iterator[Instruction]:
        return iter(self.instructions.values())

    def __getitem__(self, name: str) -> Instruction:
        return self.instructions[name]

    @property
    def parameters(self) -> dict[int, Instruction]:
        """By index."""
        return {int(each.operands[0]): each for each in self if each.opcode == "parameter"}


@dataclasses.dataclass(frozen=True, slots=True)
class Program:
    """All computations by name, and the name of the one that runs."""

    computations: Mapping[str, Computation]
    entry: str

    def callers(self) -> dict[str, tuple[Computation, Instruction]]:
        """Where a loop's body or condition, or what a fusion or call runs, is called: the last place of several."""
        found = {}
        for computation in self.computations.values():
            for instruction in computation:
                if instruction.opcode in ("while", "fusion", "call"):
                    for key in ("body", "condition", "calls", "to_apply"):
                        if name := instruction.computation(key):
                            found[name] = (computation, instruction)
        return found


def parse(text: str) -> Program:
    """Reads a whole program.

    Raises:
      ValueError: the text is not that of a compiled program.
    """
    computations: dict[str, Computation] = {}
    entry, current, pending = "", None, ""

    def finish() -> None:
        nonlocal pending
        if pending:
            is_root, instruction = _instruction(pending)
            current.instructions[instruction.name] = instruction
            if is_root:
                current.root = instruction.name
            pending = ""

    for line in io.StringIO(text):
        if current is None:
            if match := _HEADER.match(line):
                current = computations[match.group(2)] = Computation(match.group(2), {})
                entry = match.group(2) if match.group(1) else entry
        elif _END.match(line):
            finish()
            current = None
        elif line.startswith("  ") and _START.match(line):
            finish()
            pending = line
        else:
            pending += line
    if not entry:
        raise ValueError("no ENTRY computation: this is not the text of a compiled program (compiled.as_text())")
    return Program(computations, entry)


@functools.lru_cache(maxsize=65536)
def read_shape(text: str) -> tuple[Array, ...]:
    """The arrays of a shape: one, or all of a tuple's in order."""
    arrays = []
    for dtype, sizes, layout in _ARRAY.findall(text):
        space = _SPACE.search(layout)
        # A bounded dynamic size is written <=8: the bound.
        dims = tuple(int(size.lstrip("<=")) for size in sizes.split(",") if size)
        arrays.append(Array(dtype, dims, int(space.group(1)) if space else 0))
    return tuple(arrays)


def _instruction(line: str) -> tuple[bool, Instruction]:
    start = _START.match(line)
    opcode = _OPCODE.search(line, start.end() - 1)
    if opcode is None:
        raise ValueError(f"cannot read this line of the compiled program: {line[:200]}")
    end = _closing(line, opcode.end())
    inside = line[opcode.end() : end]
    kind = opcode.group(1)
    if kind in ("parameter", "constant"):
        operands = (inside,) if len(inside) < 40 else ()
        return bool(start.group(1)), Instruction(
            start.group(2), kind, line[start.end() : opcode.start() + 1], operands, ""
        )
    settings = line.find(", backend_config=", end)
    instruction = Instruction(
        name=start.group(2),
        opcode=kind,
        shape=line[start.end() : opcode.start() + 1],
        operands=tuple(_OPERAND.findall(inside)),
        attributes=_without_metadata(line, end + 1, settings),
    )
    if settings >= 0:
        if (match := _CYCLES.search(line, settings)) and int(match.group(1)) < 2**53:
            instruction.cycles = int(match.group(1))
        if kind == "while" and (match := _TRIPS.search(line, settings)):
            instruction.trips = int(match.group(1))
        if kind == "custom-call" and (match := _KERNEL.search(line, settings)):
            instruction.kernel = (int(match.group(1)), int(match.group(2)))
    return bool(start.group(1)), instruction


def _closing(line: str, start: int) -> int:
    """Where the bracket that was opened just before `start` closes."""
    end = line.find(")", start)
    opened = line.find("(", start, end)
    while opened >= 0:
        end = line.find(")", end + 1)
        opened = line.find("(", opened + 1, end)
    return end


def _without_metadata(line: str, start: int, end: int) -> str:
    end = len(line) if end < 0 else end
    metadata = line.find(", metadata={", start, end)
    return line[start : metadata if metadata >= 0 else end].strip()
