"""Where a run begins, and what it goes back to: its checkpoints, with all that must agree with them."""

import contextlib
import functools
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

import jax
from etils import epath

from flamingo_jax import config as config_lib
from flamingo_jax.parallel.hosts import of_first
from flamingo_jax.training import changes
from flamingo_jax.training.checkpoint_errors import DamagedError
from flamingo_jax.training.checkpoints import Checkpoints
from flamingo_jax.training.goodput import Goodput
from flamingo_jax.training.position import Position
from flamingo_jax.training.run import RunConfig
from flamingo_jax.training.setup import Setup
from flamingo_jax.training.skipped_data import SkippedData
from flamingo_jax.training.state import TrainState

_logger = logging.getLogger(__name__)


class Keeper:
    """Saves and restores one run. Use as a context manager: leaving waits for what is being written.

    Of several processes, all must call its methods.
    """

    def __init__(self, config: RunConfig, workdir: epath.Path, clock: Goodput):
        self._config, self._json = config, config_lib.to_json(config)
        self._weights = {name: dataset.weight for name, dataset in config.mixture.datasets}
        self._clock, self._workdir = clock, workdir
        self._opened = contextlib.ExitStack()
        self._skipped = SkippedData(workdir)
        self._fingerprint, self._like, self._accepted = "", None, False

    def __enter__(self) -> "Keeper":
        return self

    def __exit__(self, *error: Any) -> None:
        self._opened.__exit__(*error)

    @functools.cached_property
    def _checkpoints(self) -> Checkpoints:
        """Makes their folder if need be, so not before everything else is known to be right."""
        return self._opened.enter_context(Checkpoints(self._workdir, self._config.checkpoints))

    def resumes(self, accept_changes: bool) -> bool:
        """Whether there is a checkpoint to go on from; call it before anything that takes long.

        Args:
          accept_changes: whether the configuration may be another than the checkpoint's.

        Raises:
          ConfigError: it has changed in a way that must be undone or accepted.
        """
        self._accepted = accept_changes
        if not of_first((self._workdir / "checkpoints").exists()):
            return False
        latest = of_first(-1 if self._checkpoints.latest is None else self._checkpoints.latest)
        if latest < 0:
            return False
        with contextlib.suppress(DamagedError):  # told of when it is restored
            if found := self._check(self._checkpoints.facts(latest)):
                _logger.info("%s", changes.describe(found))
        return True

    def _check(self, facts: Mapping[str, Any]) -> list[changes.Change]:
        found = changes.changes(facts["config"], self._config)
        changes.check(found, self._accepted)
        return found

    def begin(self, setup: Setup) -> tuple[TrainState, Position, bool]:
        """The state and the position to go on from, and whether they are of a checkpoint.

        A new run is saved before its first update: a workdir that cannot be written is found out now, and there is
        something to go back to from the start.

        Raises:
          ConfigError: as `resumes`.
          CheckpointError: as `Checkpoints.restore_newest`, `Checkpoints.save` and `SkippedData.after`.
        """
        self._fingerprint, self._like = setup.fingerprint, setup.design.state
        with self._clock.phase("restore"):
            restored = self._checkpoints.restore_newest(self._like, self._fingerprint, self._check)
        if restored:
            self._clock.note(restored.position.step)
            return restored.state, self._skipped.after(restored.position), True
        self._skipped.forget()
        state, position = setup.start(), Position()
        self.save(state, position)
        return state, position, False

    @property
    def overdue(self) -> bool:
        """Whether this process's clock asks for a checkpoint."""
        return self._checkpoints.overdue

    def due(self, step: int) -> bool:
        """Whether one is to be saved after this update."""
        return self._checkpoints.due(step)

    def save(self, state: TrainState, position: Position) -> float:
        """Starts writing, see `Checkpoints.save`; returns the seconds that this took."""
        began = time.monotonic()
        with self._clock.phase("save"):
            self._checkpoints.save(state, position, self._json, self._fingerprint, self._weights)
        self._clock.note(position.step)
        return time.monotonic() - began

    def check(self) -> None:
        """Raises CheckpointError if a write that went on in the background has failed."""
        self._checkpoints.check()

    def wait(self) -> None:
        """Returns when everything is written."""
        with self._clock.phase("save"):
            self._checkpoints.wait()

    def roll_back(
        self, state: TrainState, position: Position, note: Callable[..., None]
    ) -> tuple[TrainState, Position]:
        """Goes back to an earlier checkpoint, and stays where the data are: those since then are not taken again.

        The arrays of `state` are given up first: devices need not hold two states.

        Raises:
          CheckpointError: none is whole.
        """
        with self._clock.phase("rollback"):
            self._checkpoints.wait()
            jax.tree.map(lambda leaf: leaf.delete(), state)
            back = self._config.health.roll_back_by
            restored = self._checkpoints.restore_newest(self._like, self._fingerprint, back=back)
        assert restored, "a run has a checkpoint from its start"
        to = restored.position
        self._clock.lose_since(to.step, "rolled_back")
        note("rollback", position.step, to=to.step, data_step=position.data_step)
        if jax.process_index() == 0:
            _logger.warning(
                "went back from update %d to %d; data steps %d to %d are skipped",
                position.step,
                to.step,
                to.data_step,
                position.data_step - 1,
            )
        position = Position(to.step, position.data_step, to.seen, position.roll_backs + 1)
        self._skipped.note(position)
        return restored.state, position
