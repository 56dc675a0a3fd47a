"""The time of one execution of a compiled program, from its text.

What experiments with libtpu 0.0.52 showed, and tests hold:

- `estimated_cycles` stands at the instructions of the running computations (fusions, copies, broadcasts), never inside
  a fused computation: a fusion's cycles include all that it fuses.
- In the body of a loop they are those of one iteration.
- Collectives have none, nor do the parts of an asynchronous copy; a fusion that hides a collective behind a matrix
  product has the product's.
- On v4 with two cores a device ("megacore") they are those of both cores together, at the same clock.
"""

import dataclasses

from jax.sharding import Mesh

from flamingo_jax.parallel.topology import Topology
from flamingo_jax.planning import hlo, roofline
from flamingo_jax.planning.collectives import KINDS, Collective, between_slices, collective, kind_of, same_exchange
from flamingo_jax.planning.flops import product_flops
from flamingo_jax.planning.loops import Loops
from flamingo_jax.planning.network import Network

_NEGLIGIBLE = 4096  # bytes: scalars of loops and indices are not worth a line in the list


@dataclasses.dataclass(frozen=True)
class Rooflined:
    """An operation without an estimate of the compiler, added up over a step.

    Attributes:
      name: of the kernel, or of the operation.
      count: executions in a step.
      flops, bytes: in a step; a kernel whose FLOPs are not known has 0.
      seconds: in a step; a part of `Estimate.compute_seconds`.
    """

    name: str
    count: float
    flops: float
    bytes: float
    seconds: float


@dataclasses.dataclass(frozen=True)
class Estimate:
    """One step on one chip.

    Attributes:
      compute_seconds: the compiler's cycles over the clock, and `rooflined`.
      ici_seconds, dcn_seconds: collectives within and between slices.
      copy_seconds: copies between HBM and the chip's vector memory that run beside the computation, at HBM's bandwidth.
      host_seconds: copies between HBM and the host's memory.
      hardware_flops: matrix products and convolutions that the chip executes, recomputation included, and kernels'.
      collectives: by kind, axes and network, the longest first.
      rooflined: what has no cycles, the longest first.
      unknown_loops: names of loops whose trip count could not be read; their body is counted once.
    """

    compute_seconds: float
    ici_seconds: float
    dcn_seconds: float
    copy_seconds: float
    host_seconds: float
    hardware_flops: float
    collectives: tuple[Collective, ...]
    rooflined: tuple[Rooflined, ...]
    unknown_loops: tuple[str, ...]

    @property
    def communication_seconds(self) -> float:
        """Of all collectives, one after the other."""
        return self.ici_seconds + self.dcn_seconds

    @property
    def step_seconds(self) -> float:
        """With full overlap: the busiest of matrix and vector units, links, network, memory and host."""
        return max(self._parts)

    @property
    def step_seconds_no_overlap(self) -> float:
        """With none: one after the other."""
        return sum(self._parts)

    @property
    def collective_bytes(self) -> float:
        """That each chip sends in a step."""
        return sum(each.bytes for each in self.collectives)

    @property
    def _parts(self) -> tuple[float, ...]:
        return self.compute_seconds, self.ici_seconds, self.dcn_seconds, self.copy_seconds, self.host_seconds


@dataclasses.dataclass
class _Cost:
    """What a computation costs once. The dicts hold sums by what they are reported by."""

    cycles: float = 0
    flops: float = 0
    copied: float = 0
    from_host: float = 0
    collectives: dict[tuple, list[float]] = dataclasses.field(default_factory=dict)
    rooflined: dict[str, list[float]] = dataclasses.field(default_factory=dict)

    def add(self, other: "_Cost", times: float) -> None:
        for name in ("cycles", "flops", "copied", "from_host"):
            setattr(self, name, getattr(self, name) + times * getattr(other, name))
        for mine, others in ((self.collectives, other.collectives), (self.rooflined, other.rooflined)):
            for key, sums in others.items():
                mine[key] = [a + times * b for a, b in zip(mine.get(key, [0] * len(sums)), sums, strict=True)]

    def add_collective(self, one: Collective) -> None:
        sums = self.collectives.setdefault((one.kind, one.axes, one.network), [0, 0, 0])
        for index, value in enumerate((one.count, one.bytes, one.seconds)):
            sums[index] += value

    def seconds(self, clock: float) -> float:
        return self.cycles / clock + sum(sums[-1] for sums in self.rooflined.values())


def estimate(text: str, topology: Topology, mesh: Mesh) -> Estimate:
    """Estimates a program compiled for `topology`.

    Args:
      text: `compiled.as_text()`.
      topology: what it was compiled for.
      mesh: of `topology.devices()`, over which its arrays are sharded.

    Raises:
      ValueError: the text is not that of a compiled program, or is of a form that is not understood.
    """
    return _Estimator(hlo.parse(text), topology, mesh).result()


class _Estimator:
    def __init__(self, program: hlo.Program, topology: Topology, mesh: Mesh):
        self._program, self._topology = program, topology
        self._network = Network(topology, mesh)
        self._loops = Loops(program)
        self._costs: dict[str, _Cost] = {}
        self._unknown: list[str] = []
        self._exchanging: set[str] = set()  # asynchronous operations that are collectives

    def result(self) -> Estimate:
        chip, cost = self._topology.chip, self._cost(self._program.entry)
        collectives = [Collective(*key, *sums) for key, sums in cost.collectives.items()]
        rooflined = [Rooflined(name, *sums) for name, sums in cost.rooflined.items()]
        return Estimate(
            compute_seconds=cost.seconds(chip.clock_hz),
            ici_seconds=sum(each.seconds for each in collectives if each.network == "ici"),
            dcn_seconds=sum(each.seconds for each in collectives if each.network == "dcn"),
            copy_seconds=cost.copied / chip.hbm_bandwidth,
            host_seconds=cost.from_host / chip.host_bandwidth,
            hardware_flops=cost.flops,
            collectives=tuple(sorted(collectives, key=lambda each: -each.seconds)),
            rooflined=tuple(sorted(rooflined, key=lambda each: -each.seconds)),
            unknown_loops=tuple(self._unknown),
        )

    def _cost(self, name: str) -> _Cost:
        if name not in self._costs:
            cost, where, seen = _Cost(), self._program.computations[name], set()
            for instruction in where:
                self._add(cost, instruction, where, seen)
            self._costs[name] = cost
        return self._costs[name]

    def _add(self, cost: _Cost, instruction: hlo.Instruction, where: hlo.Computation, seen: set) -> None:
        opcode = instruction.opcode
        if opcode == "while":
            trips = self._loops.trips(instruction)
            if trips is None:
                self._unknown.append(instruction.name)
            cost.add(self._cost(instruction.computation("body")), 1 if trips is None else trips)
        elif opcode == "conditional":
            branches = [self._cost(branch) for branch in instruction.branches]
            clock = self._topology.chip.clock_hz
            cost.add(max(branches, key=lambda branch: (branch.seconds(clock), branch.flops)), 1)
        elif opcode == "call":
            cost.add(self._cost(instruction.computation("to_apply") or instruction.computation("calls")), 1)
        elif kind_of(instruction) is not None:
            cost.add_collective(collective(instruction, where, self._network))
        elif opcode == "send":
            if (exchange := between_slices(instruction, where, self._network)) is not None:
                cost.add_collective(exchange)
        elif opcode == "fusion" or (opcode.endswith("-start") and instruction.computation("calls")):
            self._add_fused(cost, instruction, where, seen)
        elif opcode.endswith("-done"):
            self._add_copy(cost, instruction, where)
        elif not opcode.endswith(("-start", "-update")) and not roofline.is_free(instruction):
            cost.flops += product_flops(instruction, where)
            self._add_time(cost, instruction, where)

    def _add_fused(self, cost: _Cost, fusion: hlo.Instruction, where: hlo.Computation, seen: set) -> None:
        """A fusion, or what runs asynchronously: its own cycles, the FLOPs and collectives within."""
        exchanges = False
        pending = [fusion.computation("calls")]
        flops = 0
        while pending:
            inside = self._program.computations[pending.pop()]
            for instruction in inside:
                if nested := instruction.computation("calls"):
                    pending.append(nested)
                flops += product_flops(instruction, inside) + self._kernel_flops(instruction, inside)
                if kind_of(instruction) is None:
                    continue
                exchanges = True
                key = same_exchange(instruction)
                if key is None or key not in seen:
                    seen.add(key)
                    scattered = kind_of(instruction) == "all-reduce" and _is_part(fusion, instruction)
                    cost.add_collective(collective(instruction, inside, self._network, scattered))
        cost.flops += flops
        if exchanges:
            self._exchanging.add(fusion.name)
        if fusion.cycles is not None or (fusion.opcode == "fusion" and not exchanges):
            self._add_time(cost, fusion, where, flops)

    def _kernel_flops(self, instruction: hlo.Instruction, where: hlo.Computation) -> int:
        return roofline.kernel_flops(instruction, where) if instruction.opcode == "custom-call" else 0

    def _add_copy(self, cost: _Cost, done: hlo.Instruction, where: hlo.Computation) -> None:
        if done.opcode in roofline.FREE or done.opcode.removesuffix("-done") in KINDS:
            return  # counted where it starts
        start = where[done.operands[0]]
        while start.opcode.endswith("-update"):
            start = where[start.operands[0]]
        if start.name in self._exchanging:
            return
        moved, from_host = roofline.copied(done, start)
        if from_host:
            cost.from_host += moved
        else:
            cost.copied += moved

    def _add_time(
        self, cost: _Cost, instruction: hlo.Instruction, where: hlo.Computation, flops: float | None = None
    ) -> None:
        """The compiler's cycles, or a roofline."""
        if instruction.cycles is not None:
            cost.cycles += instruction.cycles
            return
        if flops is None:
            kernel = self._kernel_flops(instruction, where)
            cost.flops += kernel
            flops = kernel or product_flops(instruction, where)
        moved = roofline.traffic(instruction, where)
        if flops or moved > _NEGLIGIBLE:
            chip = self._topology.chip
            seconds = max(flops / chip.peak_flops, moved / chip.hbm_bandwidth)
            sums = cost.rooflined.setdefault(roofline.label(instruction), [0, 0, 0, 0])
            for index, value in enumerate((1, flops, moved, seconds)):
                sums[index] += value


def _is_part(fusion: hlo.Instruction, all_reduce: hlo.Instruction) -> bool:
    """Whether a fusion keeps a half or less of the all-reduce in it: each chip its own part."""
    kept = sum(array.bytes for array in fusion.arrays)
    return 2 * kept <= sum(array.bytes for array in all_reduce.arrays)
