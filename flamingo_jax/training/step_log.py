"""What a run tells of its steps as it goes; of several processes the first one does."""

import collections
import contextlib
import logging
from collections.abc import Mapping
from typing import Any

from etils import epath

from flamingo_jax.training.host_batches import Sums
from flamingo_jax.training.metrics import MetricsWriter, Progress

_logger = logging.getLogger(__name__)


class StepLog:
    """Writes each step's metrics one step late, when they are surely computed: the host never waits for the device."""

    def __init__(self, stack: contextlib.ExitStack, workdir: epath.Path, start: int, steps: int, every: int):
        """
        Args:
          stack: closes what is open.
          start, steps: updates that are done, and that there will be in all.
          every: updates between two lines.
        """
        self._every, self._last = every, steps
        self._writer = stack.enter_context(contextlib.closing(MetricsWriter(workdir)))
        self._progress = stack.enter_context(contextlib.closing(Progress(start, steps)))
        self._pending: tuple[int, Mapping[str, Any], Sums] | None = None
        self._latest: dict[str, Any] = {}  # since the last written step: not all datasets need be in each
        self._skipped: collections.Counter[str] = collections.Counter()
        if start:
            self._writer.event("resume", start)
            _logger.info("resuming from step %d", start)

    def record(self, step: int, metrics: Mapping[str, Any], sums: Sums) -> None:
        """Takes the metrics of an update that may still be running, and writes those of the one before."""
        self.flush()
        self._pending = (step, metrics, sums)

    def flush(self) -> None:
        """Waits for the pending update and writes its metrics, if it is one to log."""
        if self._pending is None:
            return
        (step, metrics, sums), self._pending = self._pending, None
        loss = float(metrics["loss"])
        self._latest.update(metrics)
        self._skipped.update({f"skipped/{name}": float(count) for name, count in sums.skipped.items()})
        speed = self._progress.tick(sums.tokens)
        if step % self._every == 0 or step in (1, self._last):
            self._progress.show(loss, speed["tokens_per_second"])
            latest = {name: float(value) for name, value in self._latest.items()}
            self._writer.write(step, latest | dict(self._skipped) | {"tokens": float(sums.tokens)} | speed)
            self._latest.clear()
            self._skipped.clear()


class SilentLog:
    """A `StepLog` of the other processes: it only keeps them from running ahead."""

    def __init__(self):
        self._pending: Mapping[str, Any] | None = None

    def record(self, step: int, metrics: Mapping[str, Any], sums: Sums) -> None:
        """See `StepLog.record`."""
        del step, sums
        self.flush()
        self._pending = metrics

    def flush(self) -> None:
        """Waits for the pending update."""
        if self._pending is not None:
            self._pending["loss"].block_until_ready()
            self._pending = None
