"""A trace of a few updates: what the devices and the host did when, for XProf, TensorBoard or Perfetto."""

import contextlib
import importlib.util
import logging
import re
import tempfile
from pathlib import Path
from typing import Any

import jax
from etils import epath

from flamingo_jax.config import ConfigError
from flamingo_jax.training.mirror import is_local

_logger = logging.getLogger(__name__)


def parse_steps(text: str) -> tuple[int, int] | None:
    """Reads "a:b", the first and the last update of a trace, as they are logged: from 1. None of an empty text.

    Raises:
      ConfigError: it is nothing of the kind.
    """
    if not text:
        return None
    match = re.fullmatch(r"(\d+):(\d+)", text)
    first, last = map(int, match.groups()) if match else (0, 0)
    if not 1 <= first <= last:
        raise ConfigError(f"--profile_steps takes the first and the last update, such as 101:103, got {text!r}")
    return first, last


class Profile:
    """Traces updates `first` to `last` into `workdir/profile`. Use as a context manager: leaving ends the trace.

    Each host of a run writes its own part of the trace.
    """

    def __init__(self, workdir: epath.Path, steps: tuple[int, int] | None, start: int, end: int):
        """
        Args:
          steps: the first and the last update; None: no trace.
          start: the updates that are done before this process goes on.
          end: those of the whole run.

        Raises:
          ConfigError: the profiler would end this process.
        """
        if steps and _has_idle_libtpu():
            raise ConfigError(
                "--profile_steps: libtpu is installed, but there is no TPU; made for another JAX, it would crash the "
                f"profiler, and the run with it. Set JAX_PLATFORMS={'cuda,' * (jax.default_backend() == 'gpu')}cpu"
            )
        self._folder, self._running = epath.Path(workdir) / "profile", False
        self._written = contextlib.ExitStack()  # where the profiler writes; it knows local paths only
        self._first, self._last = steps or (0, 0)
        if steps and (self._last <= start or self._first > end):
            span = f"updates {start + 1} to {end}" if start < end else "no update"
            _logger.warning(
                "--profile_steps=%d:%d traces nothing: this process makes %s", self._first, self._last, span
            )
            self._first = self._last = 0
        elif steps and (self._first <= start or self._last > end):
            self._first, self._last = max(self._first, start + 1), min(self._last, end)
            _logger.warning("--profile_steps: only updates %d to %d will be traced", self._first, self._last)

    def __enter__(self) -> "Profile":
        return self

    def __exit__(self, kind, error, trace) -> None:
        if self._running:
            _logger.warning("the run stops before update %d is traced; the trace ends here", self._last)
            self._stop()

    def before(self, step: int) -> None:
        """Call before update `step`, as it will be logged, is given to the devices."""
        if self._first <= step <= self._last and not self._running:
            self._local = Path(self._folder)
            if not is_local(self._folder):
                self._local = Path(self._written.enter_context(tempfile.TemporaryDirectory()))
            self._local.mkdir(parents=True, exist_ok=True)
            jax.profiler.start_trace(str(self._local))
            self._running = True

    def after(self, step: int, result: Any) -> None:
        """Call after update `step`, with any array that it makes: of the last one the trace waits for it."""
        if self._running and step >= self._last:
            jax.block_until_ready(result)
            self._stop()

    def _stop(self) -> None:
        self._running = False
        self._first = self._last = 0  # once: a rollback may come by here again
        with self._written:
            jax.profiler.stop_trace()
            if not is_local(self._folder):
                for path in self._local.rglob("*"):
                    if not path.is_dir():
                        target = self._folder.joinpath(*path.relative_to(self._local).parts)
                        target.parent.mkdir(parents=True, exist_ok=True)
                        target.write_bytes(path.read_bytes())
        _logger.info("the trace is in %s", self._folder)


def _has_idle_libtpu() -> bool:
    """Whether JAX has registered a libtpu that it does not use.

    Seen with JAX 0.10.2 and libtpu 0.0.52, as a compiler for plans: `start_trace` asks it for its profiler and crashes.
    """
    wanted = jax.config.jax_platforms
    if jax.default_backend() == "tpu" or (wanted and "tpu" not in wanted.split(",")):
        return False
    return importlib.util.find_spec("libtpu") is not None
