"""The step of a design: compiled, what it needs, and how long it takes."""

import dataclasses
import math
import statistics
import time
from typing import Any

import jax
from gpu_step_values import draw_batch, draw_frozen, draw_state

from flamingo_jax.planning.memory import compiled_memory, resident
from flamingo_jax.training.design import Design
from flamingo_jax.training.step import Batch

_WARM_UP = 2


@dataclasses.dataclass(frozen=True)
class Program:
    """A kind of step, compiled for a design's devices.

    Attributes:
      executable: None if the compiler ran out of memory, as it can where it tries kernels out.
      memory: kind -> bytes that a device needs, as `planning.memory.Memory` has it; empty without an executable.
      compile_seconds: tracing, lowering and compiling.
    """

    design: Design
    batch: Batch
    executable: Any
    memory: dict[str, int]
    compile_seconds: float

    @property
    def needed(self) -> float:
        """Bytes of a device."""
        return sum(self.memory.values()) if self.executable else math.inf


@dataclasses.dataclass(frozen=True)
class Timing:
    """Of the steps after the first ones.

    Attributes:
      seconds: of each step.
      loss: of the last, a sign that it computed something.
      peak_bytes: the most that a device held at a time, None where the device does not say, or held more before.
    """

    seconds: list[float]
    loss: float
    peak_bytes: int | None

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)


def compile_program(design: Design, batch: Batch) -> Program:
    """Compiles the step of training for one of `design.batches`."""
    start, executable, memory = time.perf_counter(), None, {}
    lowered = design.lower(batch)
    try:
        executable = lowered.compile()
        memory = compiled_memory(resident(design, batch), executable.memory_analysis()).kinds
    except jax.errors.JaxRuntimeError as error:
        if not out_of_memory(error):
            raise
    return Program(design, batch, executable, memory, time.perf_counter() - start)


def time_steps(program: Program, steps: int) -> Timing:
    """Draws what the step takes, and runs it on the same batch again and again; the state is donated, as in training.

    Raises:
      jax.errors.JaxRuntimeError: RESOURCE_EXHAUSTED among others, see `out_of_memory`.
    """
    design = program.design
    before = peak_bytes(design)
    with design.scope():
        state, frozen, batch = draw_state(design), draw_frozen(design), draw_batch(design, program.batch)
        jax.block_until_ready((state, frozen, batch))
        seconds = []
        for _ in range(_WARM_UP + steps):
            start = time.perf_counter()
            state, metrics = program.executable(state, frozen, batch)
            jax.block_until_ready((state, metrics))
            seconds.append(time.perf_counter() - start)
    after = peak_bytes(design)
    # Devices keep the most since the process began, which may have been an earlier measurement's.
    return Timing(seconds[_WARM_UP:], float(metrics["loss"]), after if after and after > before else None)


def out_of_memory(error: Exception) -> bool:
    """Whether this is XLA's way to say so."""
    return "RESOURCE_EXHAUSTED" in str(error)


def peak_bytes(design: Design) -> int:
    """The most that one of the design's devices held since the process began; 0 where they do not say."""
    return max((device.memory_stats() or {}).get("peak_bytes_in_use", 0) for device in design.mesh.devices.flat)


def bytes_limit(devices: list[jax.Device]) -> int | None:
    """Bytes that JAX may use of each device; None where one does not say."""
    limits = [(device.memory_stats() or {}).get("bytes_limit") for device in devices]
    return None if None in limits else min(limits)
