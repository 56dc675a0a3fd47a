"""A run's step with each attention kernel: which batches fit the devices, and how long a step takes."""

import dataclasses
import functools
import math
from collections.abc import Callable, Sequence

import jax
from gpu_step_batches import largest_fitting, unit_sizes, with_sizes
from gpu_step_timing import Program, Timing, compile_program, out_of_memory, time_steps

from flamingo_jax.config import ConfigError
from flamingo_jax.data.shapes import count_images, count_tokens
from flamingo_jax.planning.memory import usable
from flamingo_jax.training.design import Design
from flamingo_jax.training.model_flops import model_flops
from flamingo_jax.training.run import RunConfig


@dataclasses.dataclass(frozen=True)
class Tried:
    """A scale that was compiled.

    Attributes:
      needed: bytes of a device, of the kind of step that needs most; None if the compiler itself ran out of memory.
      fits: whether they leave the reserve of `planning.memory.usable` free.
      compile_seconds: of all kinds of steps.
    """

    attention: str
    scale: int
    needed: int | None
    fits: bool
    compile_seconds: float


@dataclasses.dataclass(frozen=True)
class Row:
    """One kind of step, timed.

    Attributes:
      rows: dataset (or "merged") -> rows of its batch, on all devices.
      tokens, images: of a step; positions of padding and frames too.
      memory: kind -> bytes of a device, as the program has it.
      timing: None if the device ran out of memory.
    """

    attention: str
    scale: int
    rows: dict[str, int]
    tokens: int
    images: int
    model_flops: float
    memory: dict[str, int]
    compile_seconds: float
    timing: Timing | None


class Kernels:
    """The designs of a run, by kernel and scale; each is compiled once.

    Attributes:
      tried: all that was compiled, in order.
      report: is told of each scale that was compiled.
    """

    def __init__(self, run: RunConfig, names: Sequence[str], devices: list[jax.Device], limit: int | None):
        """Compiles nothing yet.

        Args:
          limit: bytes of a device; None: not known, and everything is taken to fit.

        Raises:
          ConfigError: a kernel does not run on the devices or with the model, or the run does not fit the mesh.
        """
        self._run, self._devices = run, devices
        self._room = math.inf if limit is None else usable(limit)
        self._units = unit_sizes(run, devices)
        self.tried: list[Tried] = []
        self.report: Callable[[Tried], None] = lambda tried: None
        for name in names:
            self._design(name, 1)

    def largest(self, name: str) -> int:
        """The largest power of two that fits; 0 if 1 does not."""
        return largest_fitting(lambda scale: max(each.needed for each in self._programs(name, scale)), self._room)

    def fits(self, name: str, scale: int) -> int:
        """`scale`, or 0 if it does not fit."""
        return scale if self._fits(self._programs(name, scale)) else 0

    def time(self, name: str, scale: int, steps: int) -> list[Row]:
        """Each kind of step at a scale that fits."""
        return [self._row(name, scale, program, steps) for program in self._programs(name, scale)]

    def _row(self, name: str, scale: int, program: Program, steps: int) -> Row:
        try:
            timing = time_steps(program, steps)
        except jax.errors.JaxRuntimeError as error:
            if not out_of_memory(error):
                raise
            timing = None
        design, batch = program.design, program.batch
        return Row(
            attention=name,
            scale=scale,
            rows={each: part["tokens"].shape[0] for each, part in batch.items()},
            tokens=count_tokens(batch),
            images=count_images(batch),
            model_flops=model_flops(design.config.model, design.labels, batch).total,
            memory=program.memory,
            compile_seconds=program.compile_seconds,
            timing=timing,
        )

    @functools.cache  # noqa: B019 (lives as long as the process)
    def _programs(self, name: str, scale: int) -> list[Program]:
        design = self._design(name, scale)
        programs = [compile_program(design, batch) for batch in design.batches.values()]
        needed = max(each.needed for each in programs)
        seconds = sum(each.compile_seconds for each in programs)
        whole = int(needed) if math.isfinite(needed) else None
        self.tried.append(Tried(name, scale, whole, self._fits(programs), seconds))
        self.report(self.tried[-1])
        return programs

    def _fits(self, programs: list[Program]) -> bool:
        return all(each.executable and each.needed <= self._room for each in programs)

    def _design(self, name: str, scale: int) -> Design:
        run = with_sizes(self._run, {dataset: unit * scale for dataset, unit in self._units.items()})
        try:
            run = dataclasses.replace(run, model=dataclasses.replace(run.model, attention=name))
        except ValueError as error:  # the model's own checks
            raise ConfigError(str(error)) from error
        return Design.make(run, self._devices)
