"""The plan of a run: its real step compiled for the real topology, and what follows from it."""

import dataclasses
import logging
from collections import Counter
from collections.abc import Callable, Mapping

from flamingo_jax.data.schedule import Schedule
from flamingo_jax.data.shapes import count_images, count_tokens
from flamingo_jax.parallel.topology import Topology
from flamingo_jax.planning.advice import advise
from flamingo_jax.planning.compiling import compile_step
from flamingo_jax.planning.estimate import Estimate, estimate
from flamingo_jax.planning.memory import Memory, compiled_memory, exceeded_memory, resident, usable
from flamingo_jax.training.design import Design
from flamingo_jax.training.model_flops import ModelFlops, model_flops
from flamingo_jax.training.params import Count, count_by_module
from flamingo_jax.training.run import RunConfig
from flamingo_jax.training.step import Batch

_LOG = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Kind:
    """One kind of step; all strategies but "round_robin" have one.

    Attributes:
      datasets: that it takes a batch of.
      share: of all steps.
      tokens: positions of the language model, padding too.
      images: images or frames that the encoder reads.
      flops: model FLOPs.
      memory: of a chip.
      estimate: of its time; None if the compiler refused the program because it does not fit.
      compile_seconds: tracing, lowering and compiling.
    """

    datasets: tuple[str, ...]
    share: float
    tokens: int
    images: int
    flops: ModelFlops
    memory: Memory
    estimate: Estimate | None
    compile_seconds: float


@dataclasses.dataclass(frozen=True)
class Plan:
    """What a run needs and how long it takes; times and FLOPs of a step are means over the kinds of steps.

    Attributes:
      topology: what it is planned for.
      mesh: axis -> size.
      steps: of the whole run.
      params: module -> counts.
      kinds: of steps.
      advice: what to change, the most effective first; empty if it fits.
    """

    topology: Topology
    mesh: Mapping[str, int]
    steps: int
    params: Mapping[str, Count]
    kinds: tuple[Kind, ...]
    advice: tuple[str, ...]

    @property
    def memory(self) -> Memory:
        """Of the kind of step that needs most."""
        return max((kind.memory for kind in self.kinds), key=lambda memory: memory.peak)

    @property
    def fits(self) -> bool:
        """Whether every kind of step leaves the reserve free."""
        return self.estimated and self.memory.peak <= usable(self.topology.chip.hbm_bytes)

    @property
    def estimated(self) -> bool:
        """Whether there is an estimate of the time: the compiler made a program of every kind of step."""
        return all(kind.estimate is not None for kind in self.kinds)

    @property
    def compile_seconds(self) -> float:
        return sum(kind.compile_seconds for kind in self.kinds)

    @property
    def tokens(self) -> float:
        """Positions of the language model in a step."""
        return sum(kind.share * kind.tokens for kind in self.kinds)

    @property
    def model_flops(self) -> float:
        return sum(kind.share * kind.flops.total for kind in self.kinds)

    @property
    def hardware_flops(self) -> float:
        """Of all chips, in a step. Like all below, only where there is an estimate."""
        return self.mean(lambda estimate: estimate.hardware_flops) * self.topology.chips

    def mean(self, value: Callable[[Estimate], float]) -> float:
        """The mean over the kinds of steps of something that is estimated."""
        return sum(kind.share * value(kind.estimate) for kind in self.kinds)

    def step_seconds(self, overlap: bool = True) -> float:
        """With full overlap, or none, of computation and communication."""
        return self.mean(lambda estimate: estimate.step_seconds if overlap else estimate.step_seconds_no_overlap)

    def mfu(self, overlap: bool = True) -> float:
        """Model FLOPs over those that the chips could do in the time of a step."""
        peak = self.topology.chips * self.topology.chip.peak_flops
        return self.model_flops / (peak * self.step_seconds(overlap))

    def run_seconds(self, overlap: bool = True) -> float:
        """Of all steps; start, checkpoints and evaluation not counted."""
        return self.steps * self.step_seconds(overlap)


def make_plan(config: RunConfig, topology: Topology) -> Plan:
    """Plans a run. No dataset, tokenizer or weights are opened, and no accelerator is touched.

    Raises:
      ConfigError: the design is not possible (see `Design.make`), the compiler is missing or refuses the program.
    """
    design = Design.make(config, topology.devices())
    cycle = Schedule(config.mixture.strategy, [name for name, _ in config.mixture.datasets], config.mixture.turns).cycle
    turns = Counter(cycle)
    kinds = []
    for names, batch in design.batches.items():
        _LOG.info("compiling the step of %s for %d chips, which can take minutes", " + ".join(names), topology.chips)
        kinds.append(_kind(design, topology, names, turns[names] / len(cycle), batch))
    params = count_by_module(design.shapes, design.labels)
    plan = Plan(topology, dict(design.mesh.shape), config.steps, params, tuple(kinds), ())
    if plan.fits:
        return plan
    batch = design.batches[max(kinds, key=lambda kind: kind.memory.peak).datasets]
    return dataclasses.replace(plan, advice=advise(design, batch, plan.memory, topology.chip.hbm_bytes))


def _kind(design: Design, topology: Topology, names: tuple[str, ...], share: float, batch: Batch) -> Kind:
    compiled, taken = compile_step(design, batch), resident(design, batch)
    if compiled.needed is None:
        memory = compiled_memory(taken, compiled.stats)
        found = estimate(compiled.text, topology, design.mesh)
    else:
        memory, found = exceeded_memory(taken, compiled.needed), None
    return Kind(
        datasets=names,
        share=share,
        tokens=count_tokens(batch),
        images=count_images(batch),
        flops=model_flops(design.config.model, design.labels, batch),
        memory=memory,
        estimate=found,
        compile_seconds=compiled.seconds,
    )
