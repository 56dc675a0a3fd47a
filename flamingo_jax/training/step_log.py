"""What a run tells of its steps as it goes; of several processes the first one does."""

import collections
import contextlib
import logging
import os
import socket
import time
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
from etils import epath

from flamingo_jax.training.completion import Completion, CompletionWatch
from flamingo_jax.training.goodput import Goodput
from flamingo_jax.training.health import SKIPPED
from flamingo_jax.training.host_batches import Idle, Sums
from flamingo_jax.training.lease import LeaseError
from flamingo_jax.training.metrics import MetricsWriter, Progress
from flamingo_jax.training.utilization import Kind, Utilization

_logger = logging.getLogger(__name__)

STATE_OF_THE_RUN = ("health",)
"""Metrics that the loop reads and that are no figures to log."""


class SilentLog:
    """A `StepLog` of the other processes: it keeps them from running ahead, and knows when the devices had no work."""

    def __init__(self, stack: contextlib.ExitStack, clock: Callable[[], float] = time.monotonic):
        """
        Args:
          stack: closes what is open.
        """
        self._clock = clock
        self._watch = stack.enter_context(contextlib.closing(CompletionWatch(clock)))
        self._running: Completion | None = None

    def record(
        self,
        step: int,
        metrics: Mapping[str, Any],
        sums: Sums,
        seen: Mapping[str, int] | None = None,
        data_wait: float = 0.0,
        kind: Kind = (),
        given: float | None = None,
    ) -> Idle:
        """Takes an update that has just been given to the devices, and waits for the one before.

        Args:
          step: its number, from 1.
          metrics: its values, still being computed.
          sums: of its batch.
          seen: all that the run has seen with it: "tokens/<dataset>" and "images/<dataset>".
          data_wait: seconds for which the host waited for its batch.
          kind: names of the parts of its batch.
          given: when the devices got it, by this clock; now, if it is left out. With several processes it must be read
            before anything that waits for the others.

        Returns:
          For how long the devices had nothing to do before it.
        """
        del step, sums, seen, kind
        return self._idle(metrics["loss"], data_wait, given)

    def flush(self) -> None:
        """Waits for the pending update."""
        if self._running is not None:
            self._running.wait()

    def event(self, name: str, step: int, **facts: Any) -> None:
        """See `StepLog.event`: the first process writes it."""
        if name == "rollback":
            self._running = None

    def evaluated(self, step: int, figures: Mapping[str, float]) -> None:
        """Notes what an evaluation after `step` has found, by name."""

    def _idle(self, loss: jax.Array, data_wait: float, given: float | None) -> Idle:
        """Waits for the update before the one that makes `loss`; see `record`."""
        given, before = self._clock() if given is None else given, self._running
        self._running = self._watch.watch(loss)
        if before is None:
            return Idle(data_wait, data_wait)
        idle = max(given - before.wait(), 0.0)
        return Idle(min(idle, data_wait), idle)


class StepLog(SilentLog):
    """Writes each step's metrics one step late, when they are surely computed: the host never waits for the device.

    Speeds are means over the steps since the last line, without the time of saving, compiling and other phases.
    """

    def __init__(
        self,
        stack: contextlib.ExitStack,
        workdir: epath.Path,
        start: int,
        steps: int,
        every: int,
        *,
        goodput: Goodput | None = None,
        utilization: Utilization | None = None,
        facts: Mapping[str, Any] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ):
        """
        Args:
          stack: closes what is open.
          start, steps: updates that are done, and that there will be in all.
          every: updates between two lines.
          goodput: where the time of this process goes; the log books the waits for data. One of its own if not given.
          utilization: of the devices; without it there are no figures of it.
          facts: of the event "resume"; None: the run begins.
        """
        super().__init__(stack, clock)
        self._every, self._last = every, steps
        self._utilization = utilization
        self._step_seconds = 0.0  # of an update, on average over those of the last line
        self._goodput = goodput
        if goodput is None:
            self._goodput = Goodput(clock)
            self._goodput.begin()
        writer = MetricsWriter(workdir, None if facts is None else start)
        self._writer = writer
        stack.push(lambda kind, *_: writer.close(upload=kind is None or not issubclass(kind, LeaseError)))
        self._progress = stack.enter_context(contextlib.closing(Progress(start, steps)))
        self._pending: tuple[int, Mapping[str, Any], Sums, dict[str, int], float, Kind] | None = None
        self._begin_interval()
        devices = jax.devices()
        self.event(
            "start",
            start,
            host=socket.gethostname(),
            pid=os.getpid(),
            processes=jax.process_count(),
            devices=len(devices),
            device_kind=devices[0].device_kind,
            seconds=sum(self._goodput.seconds().values()),
        )
        if facts is not None:
            self.event("resume", start, **facts)
            _logger.info("resuming from step %d", start)

    def event(self, name: str, step: int, **facts: Any) -> None:
        """Notes that something happened at `step`, with JSON values that tell more.

        A "rollback" needs `to`, the step that the run goes on from; the update that is pending comes before it.
        """
        if name == "rollback":
            self.flush()
            self._running = None
            self._progress.back(facts["to"])
            self._begin_interval()  # its means and counts are of updates that are given up
        self._writer.event(name, step, **facts)

    def evaluated(self, step: int, figures: Mapping[str, float]) -> None:
        """An event of its own, after the metrics of `step`, and curves in TensorBoard; nothing if it was given up."""
        if not figures:
            return
        self.flush()
        self._writer.event("evaluated", step, figures=dict(figures))
        self._writer.curves(step, figures)

    def record(
        self,
        step: int,
        metrics: Mapping[str, Any],
        sums: Sums,
        seen: Mapping[str, int] | None = None,
        data_wait: float = 0.0,
        kind: Kind = (),
        given: float | None = None,
    ) -> Idle:
        """See `SilentLog.record`; writes the metrics of the update before."""
        idle = self._idle(metrics["loss"], data_wait, given)
        self._write()
        self._goodput.lose(idle.data, "data")
        self._pending = (step, metrics, sums, dict(seen or {}), data_wait, kind)
        return idle

    def flush(self) -> None:
        """Waits for the pending update and writes its metrics, if it is one to log."""
        super().flush()
        self._write()

    def _begin_interval(self) -> None:
        """Forgets what belongs to the steps since the last line."""
        self._latest: dict[str, Any] = {}  # not all datasets need be in each
        self._skipped: collections.Counter[str] = collections.Counter()
        self._steps, self._tokens, self._waited, self._flops = 0, 0, 0.0, 0.0
        self._since = self._goodput.stepping

    def _write(self) -> None:
        if self._pending is None:
            return
        (step, metrics, sums, seen, waited, kind), self._pending = self._pending, None
        self._latest.update({name: value for name, value in metrics.items() if name not in STATE_OF_THE_RUN})
        self._skipped.update({f"skipped/{name}": float(count) for name, count in sums.skipped.items()})
        self._steps += 1
        self._tokens += sums.tokens
        self._waited += waited
        if self._utilization is not None:
            self._flops += self._utilization.flops(kind)
        if int(metrics.get("health", 0)) & SKIPPED:
            self._goodput.lose(self._step_seconds, "skipped")
        self._progress.done()
        if step % self._every == 0 or step in (1, self._last):
            found = jax.device_get(list(self._latest.values()))  # of a dict it would sort the names
            values = {name: float(value) for name, value in zip(self._latest, found, strict=True)}
            values |= dict(self._skipped) | _counts(sums.tokens, seen) | self._speeds()
            self._writer.write(step, values | self._goodput.shares())
            self._progress.show(values["loss"], values.get("tokens_per_second", np.nan))
            self._begin_interval()

    def _speeds(self) -> dict[str, float]:
        seconds = self._goodput.stepping - self._since
        if seconds <= 0:
            return {}
        self._step_seconds = seconds / self._steps
        speeds = {
            "step_seconds": self._step_seconds,
            "tokens_per_second": self._tokens / seconds,
            "data_wait": self._waited / self._steps,
        }
        if self._utilization is None:
            return speeds
        return speeds | self._utilization.rates(self._flops, seconds) | self._utilization.memory()


def _counts(tokens: int, seen: Mapping[str, int]) -> dict[str, float]:
    """Tokens of a step, and what the run has seen so far, in all and by dataset."""
    found = {"tokens": float(tokens)}
    for what in ("tokens", "images"):
        of = {name: count for name, count in seen.items() if name.startswith(f"{what}/")}
        if of:
            found[f"{what}_seen"] = float(sum(of.values()))
            found |= {f"{what}_seen/{name.partition('/')[2]}": float(count) for name, count in of.items()}
    return found
