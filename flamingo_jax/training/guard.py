"""What the host makes of the verdicts on a run's updates: says what is wrong, and does what the policy asks for.

Verdicts come from the devices (`training.health`) a step late, so the host never waits for them. They are the same on
all processes, and so is what is done.
"""

import collections
import logging
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from flamingo_jax.data.mixture import Mixture
from flamingo_jax.training.health import (
    FLAGS,
    LOG,
    NONFINITE,
    ROLL_BACK,
    SKIP,
    SKIPPED,
    SPIKE,
    STOP,
    HealthConfig,
)
from flamingo_jax.training.host_batches import Sums
from flamingo_jax.training.position import Position

_logger = logging.getLogger(__name__)

Note = Callable[..., None]
"""Writes an event to the run's log: `(name, step, **facts)`."""


class HealthError(RuntimeError):
    """A run was stopped because of an update that went wrong; the message says which, and how to look at it."""


class Guard:
    """Looks at each update once its verdict is there."""

    def __init__(self, config: HealthConfig, mixture: Mixture, workdir: Any, note: Note):
        self._config, self._mixture, self._workdir, self._note = config, mixture, workdir, note
        self._pending: tuple[int, int, Mapping[str, Any]] | None = None
        self._times: collections.deque[np.ndarray] = collections.deque(maxlen=config.host_window)
        self._skips = self._bad = 0
        self._warned: dict[str, int] = {}  # kind -> the update that was last told of

    def record(self, step: int, data_step: int, metrics: Mapping[str, Any], sums: Sums) -> bool:
        """Takes an update that may still be running, and looks at the one before.

        Args:
          step, data_step: its number, and the data step that it was made of.

        Returns:
          Whether to roll back.

        Raises:
          HealthError: the policy is to stop.
        """
        asked = self.flush()
        self._pending = (step, data_step, metrics)
        self._look_at_hosts(step, sums)
        return asked

    def flush(self) -> bool:
        """Waits for the pending update and looks at it; as `record`."""
        if self._pending is None:
            return False
        (step, data_step, metrics), self._pending = self._pending, None
        flags = int(metrics["health"])
        self._skips = self._skips + 1 if flags & SKIPPED else 0
        actions = [
            self._act(kind, step, data_step, self._why(kind, metrics), bool(flags & SKIPPED))
            for kind, bit in FLAGS.items()
            if flags & bit
        ]
        if self._skips > self._config.max_skips:
            self._stop(step, f"{self._skips} updates in a row were not applied, up to update {step}")
        return any(actions)

    def forget(self) -> None:
        """Drops the pending update: the run goes back to before it."""
        self._pending, self._skips = None, 0

    def check_roll_back(self, position: Position) -> None:
        """Raises HealthError if the run went back often enough."""
        if position.roll_backs >= self._config.max_roll_backs:
            self._stop(
                self._bad, f"the run went back {position.roll_backs} times already (HealthConfig.max_roll_backs)"
            )

    def _why(self, kind: str, metrics: Mapping[str, Any]) -> str:
        values = {
            name: float(value) for name, value in metrics.items() if name.startswith(("loss", "grad_norm", "gate/"))
        }
        losses = ", ".join(f"{name} {value:.4g}" for name, value in values.items() if name.startswith("loss"))
        if kind == NONFINITE:
            wrong = [f"{name} {value}" for name, value in values.items() if not np.isfinite(value)]
            return f"not finite: {', '.join(wrong)}"
        if kind == SPIKE:
            return f"a loss far above its running mean: {losses}; grad_norm {values['grad_norm']:.4g}"
        gates = {name: value for name, value in values.items() if name.startswith("gate/")}
        worst = max(gates, key=lambda name: abs(gates[name]))
        return f"a gate ran away: {worst} {gates[worst]:.5f}"

    def _act(self, kind: str, step: int, data_step: int, why: str, skipped: bool) -> bool:
        """Tells of it and does what the policy says; True for a rollback."""
        action = getattr(self._config, kind)
        if action == LOG and not self._news(kind, step):
            return False
        done = {SKIP: "not applied", ROLL_BACK: "rolling back", STOP: "stopping"}.get(action, "applied")
        _logger.warning("update %d: %s; %s", step, why, done)
        names = self._mixture.schedule.datasets(data_step)
        records = {name: self._mixture.records(name, data_step) for name in names}
        self._note(kind, step, message=f"{why}; {done}", data_step=data_step, records=records, applied=not skipped)
        if action == STOP:
            self._stop(step, f"update {step}: {why}")
        self._bad = step
        return action == ROLL_BACK

    def _stop(self, step: int, why: str) -> None:
        self._note("stop", step, reason=why)
        raise HealthError(
            f"{why}. Stopped without saving: the newest checkpoint is of before. Look at the batch with "
            f"`python -m flamingo_jax.data.inspect --workdir={self._workdir} --step={step} --output=DIR`; "
            "HealthConfig says what is done about it (stop, skip, roll_back)"
        )

    def _look_at_hosts(self, step: int, sums: Sums) -> None:
        """Who starves and who is late, on average over the window."""
        config = self._config
        self._times.append(sums.times)
        if len(self._times) < config.host_window:
            return
        starved, busy, _ = np.mean(self._times, axis=0).T
        seconds = float(np.median(np.array(self._times)[:, :, 2]))  # saving and the like are no part of most steps
        worst = int(np.argmax(starved))
        if starved[worst] > config.starving_share * seconds:
            self._tell(
                "starving",
                step,
                f"process {worst} waits {starved[worst]:.3f} s of each step of {seconds:.3f} s for data: more "
                "MixtureConfig.workers, or faster storage",
            )
        # What it does besides waiting for data, which is told of above.
        late = busy - starved
        worst = int(np.argmax(late))
        others = float(np.median(np.delete(late, worst))) if len(late) > 1 else np.inf
        if late[worst] > max(config.straggler_share * seconds, config.straggler_factor * others):
            self._tell(
                "straggler",
                step,
                f"process {worst} keeps the devices waiting {late[worst]:.3f} s of each step of {seconds:.3f} s, the "
                f"others {others:.3f} s",
            )

    def _tell(self, kind: str, step: int, why: str) -> None:
        if not self._news(kind, step):
            return
        _logger.warning("update %d: %s", step, why)
        self._note(kind, step, message=why)
        if getattr(self._config, kind) == STOP:
            self._note("stop", step, reason=why)
            raise HealthError(f"update {step}: {why}. Stopped, as HealthConfig.{kind} says; nothing was saved")

    def _news(self, kind: str, step: int) -> bool:
        """Whether to tell of what goes on for many updates: once in a window."""
        if step - self._warned.get(kind, -self._config.host_window) < self._config.host_window:
            return False
        self._warned[kind] = step
        return True
