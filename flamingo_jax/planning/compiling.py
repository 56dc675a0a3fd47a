"""Compiling a step for chips that are not there; that it does not fit is an answer and not an error."""

import dataclasses
import re
import tempfile
import time
from pathlib import Path
from typing import Any

import jax

from flamingo_jax.config import ConfigError
from flamingo_jax.training.design import Design
from flamingo_jax.training.step import Batch

_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
_SIZE = r"([\d.]+)([KMGT]?)"
# What libtpu 0.0.52 says ("temporaries" are all that the program holds), and what versions before 0.0.30 said.
_NEEDED = (
    re.compile(rf"HBM, the total memory required for HLO temporaries \({_SIZE}\) exceeds available HBM \({_SIZE}\)"),
    re.compile(rf"memory space hbm\. Used {_SIZE} of {_SIZE} hbm"),
)


@dataclasses.dataclass(frozen=True)
class Compiled:
    """A program, or why there is none.

    Attributes:
      text: of the program; empty if it does not fit.
      stats: `compiled.memory_analysis()`, None if it does not fit.
      needed: bytes that it would need on each chip, if it does not fit.
      seconds: that tracing, lowering and compiling took.
    """

    text: str
    stats: Any
    needed: int | None
    seconds: float


def compile_step(design: Design, batch: Batch) -> Compiled:
    """Compiles the design's step for one of its kinds of batches.

    Raises:
      ConfigError: the compiler refuses the program for another reason than its memory.
    """
    start = time.perf_counter()
    lowered = design.lower(batch)
    with tempfile.TemporaryDirectory() as folder:
        try:
            compiled = lowered.compile({"xla_dump_to": folder, "xla_dump_hlo_as_text": True})
        except jax.errors.JaxRuntimeError as error:
            needed = needed_bytes(str(error))
            if needed is None:
                raise ConfigError(f"the compiler refuses the step: {str(error).strip()}") from error
            return Compiled("", None, needed, time.perf_counter() - start)
        seconds = time.perf_counter() - start
        return Compiled(_text(compiled, Path(folder)), compiled.memory_analysis(), None, seconds)


def _text(compiled: jax.stages.Compiled, folder: Path) -> str:
    """The program's text as its compiler wrote it.

    `as_text` has jaxlib read the program first, which it cannot where a newer libtpu uses a form of an instruction that
    it does not know (seen: asynchronous ones, in programs for v6e). A program from JAX's cache was not written.
    """
    written = list(folder.glob("*.after_codegen.txt"))
    return written[0].read_text() if len(written) == 1 else compiled.as_text()


def needed_bytes(message: str) -> int | None:
    """Bytes of HBM that a program would need, from the compiler's error; None if the error is another."""
    for pattern in _NEEDED:
        if match := pattern.search(message):
            return int(float(match.group(1)) * _UNITS[match.group(2)])
    return None
