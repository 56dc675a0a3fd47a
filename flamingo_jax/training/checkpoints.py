"""Checkpoints: the trainable part, how far the run is, and what is needed to trust both.

Orbax writes each one to a temporary name and commits it when it is whole, so a killed run or a full disk never leaves
one that is half-written under its final name. What damages a complete one later is found by checksums of the values,
taken on the devices before they are written and again after they are read (`training.checksums`). A damaged checkpoint
is set aside, by name, and the one before it is used.
"""

import dataclasses
import logging
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any

import jax
import orbax.checkpoint as ocp
from etils import epath
from orbax.checkpoint import checkpoint_managers

from flamingo_jax.parallel.hosts import any_of, of_first, wait_for_all
from flamingo_jax.training.checkpoint_arrays import arrays_of, saved_health
from flamingo_jax.training.checkpoint_errors import CheckpointError, DamagedError, cause_of, is_damage
from flamingo_jax.training.checksums import Checksums, checksums
from flamingo_jax.training.facts_file import SaveFacts, read_facts
from flamingo_jax.training.health import for_datasets
from flamingo_jax.training.position import Position
from flamingo_jax.training.state import TrainState

_logger = logging.getLogger(__name__)
_FACTS_WITHOUT_CHECKSUMS = {"step", "data_step", "frozen_fingerprint", "config"}  # as the first versions wrote them
_DAMAGED = "damaged"  # folder in the workdir for those that are set aside


@dataclasses.dataclass(frozen=True)
class CheckpointConfig:
    """When to save, and what to keep. A checkpoint stays as long as one of the rules keeps it.

    Attributes:
      every: updates between two checkpoints.
      minutes: after which one is saved, however few updates that are; 0: whatever the time.
      keep: the newest ones that stay.
      keep_every: those whose step it divides stay, for good; 0: none.
      keep_best: so many with the lowest `best` stay; 0: none.
      best: "loss", or "loss/<dataset>": its running mean over the last updates, see `HealthConfig.spike_window`.
    """

    every: int = 1_000
    minutes: float = 0.0
    keep: int = 3
    keep_every: int = 0
    keep_best: int = 0
    best: str = "loss"

    def __post_init__(self):
        for name, least in (("every", 1), ("keep", 1), ("keep_every", 0), ("keep_best", 0)):
            if not isinstance(getattr(self, name), int) or getattr(self, name) < least:
                raise ValueError(f"CheckpointConfig.{name} is a whole number from {least}, got {getattr(self, name)!r}")
        if not self.minutes >= 0:
            raise ValueError(f"CheckpointConfig.minutes must not be negative, got {self.minutes!r}")


@dataclasses.dataclass(frozen=True)
class Restored:
    """What a checkpoint gives back."""

    state: TrainState
    position: Position


class Checkpoints:
    """The checkpoints of one workdir. Use as a context manager: leaving waits for writes that are under way.

    Of several processes, all must call the methods that write, restore or delete.
    """

    def __init__(self, workdir: epath.Path, config: CheckpointConfig, *, read_only: bool = False):
        """
        Args:
          read_only: for all but the run itself, which may go on meanwhile. Else what killed saves left is removed.
        """
        # Orbax refuses relative paths, but only when it writes.
        workdir = epath.Path(workdir).resolve()
        self._dir, self._aside, self._config = workdir / "checkpoints", workdir / _DAMAGED, config
        policies = checkpoint_managers.preservation_policy
        kept = [policies.LatestN(config.keep)]
        if config.keep_every:
            kept.append(policies.EveryNSteps(config.keep_every))
        if config.keep_best:
            kept.append(
                policies.BestN(
                    get_metric_fn=_best, reverse=True, n=config.keep_best, keep_checkpoints_without_metrics=False
                )
            )
        options = ocp.CheckpointManagerOptions(
            preservation_policy=policies.AnyPreservationPolicy(kept),
            best_fn=_best if config.keep_best else None,  # without, Orbax writes no metrics
            best_mode="min",
            enable_async_checkpointing=True,
            cleanup_tmp_directories=not read_only,
            create=not read_only,
            read_only=read_only,
        )
        if not read_only:
            self._dir.mkdir(parents=True, exist_ok=True)
            if jax.process_index() == 0:
                for left in self._dir.glob(f"*{ocp.utils.TMP_DIR_SUFFIX}*"):  # Orbax finds them in stores alone
                    left.rmtree(missing_ok=True)
        self._manager = ocp.CheckpointManager(self._dir, options=options)
        self._saved_at = time.monotonic()

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, kind, error, trace) -> None:
        try:
            self.wait()
        except CheckpointError:
            if kind is None:
                raise
        finally:
            self._manager.close()

    @property
    def steps(self) -> list[int]:
        """The steps of all complete checkpoints, ascending, as this process sees them."""
        return sorted(self._manager.all_steps())

    @property
    def latest(self) -> int | None:
        """The newest complete checkpoint's step."""
        return max(self.steps, default=None)

    @property
    def overdue(self) -> bool:
        """Whether this process's clock says that one should be saved, however few updates were done."""
        return 0 < self._config.minutes * 60 < time.monotonic() - self._saved_at

    def due(self, step: int) -> bool:
        """Whether a run should save after its `step`-th update, whatever the time."""
        return step % self._config.every == 0

    def save(
        self, state: TrainState, position: Position, config: str, fingerprint: str, weights: Mapping[str, float]
    ) -> None:
        """Starts writing a checkpoint; returns when the values are copied, before they are on disk.

        Args:
          state, position: both after the same update.
          config: the resolved configuration, as JSON text.
          fingerprint: of the frozen weights.
          weights: of the datasets' losses in the objective.

        Raises:
          CheckpointError: this or an earlier write failed, as on a full disk. Complete checkpoints are still there.
        """
        step, self._saved_at = position.step, time.monotonic()
        if step in self._manager.all_steps():
            return
        facts = position.facts() | {
            "frozen_fingerprint": fingerprint,
            "config": config,
            "arrays": arrays_of(state),
        }
        found: Future[Checksums] = Future()
        items = ocp.args.Composite(
            state=ocp.args.StandardSave(state._asdict()),
            facts=SaveFacts(lambda: facts | {"checksums": found.result().wait()}),
        )
        best = self._best(state, weights)
        metrics = None if best is None else {"best": best}
        try:
            self._guarded(step, lambda: self._manager.save(step, args=items, metrics=metrics, force=True))
            # Begun when the values are copied, and before the next update takes their memory; nobody waits for them
            # here. Whoever writes the facts does, and must not wait for ever.
            found.set_result(Checksums(state._asdict()))
        except BaseException as error:
            found.set_exception(CheckpointError(f"the checkpoint of step {step} was given up: {error}"))
            raise

    def _best(self, state: TrainState, weights: Mapping[str, float]) -> float | None:
        """The figure by which the best are kept; None where it is not known yet."""
        if not self._config.keep_best:
            return None
        means, counts = jax.device_get((state.health.mean, state.health.count))
        if self._config.best != "loss":
            weights = {self._config.best.removeprefix("loss/"): 1.0}
        if not all(counts[name] for name in weights):
            return None
        return float(sum(weight * means[name] for name, weight in weights.items()))

    def check(self) -> None:
        """Raises CheckpointError if a write that went on in the background has failed. Does not wait."""
        self._guarded(None, lambda: None)

    def wait(self) -> None:
        """Returns when all started writes are complete; raises CheckpointError if one failed."""
        self._guarded(None, self._manager.wait_until_finished)

    def _guarded(self, step: int | None, write: Callable[[], Any]) -> None:
        try:
            write()
            self._manager.check_for_errors()
        except Exception as error:
            what = "a checkpoint" if step is None else f"the checkpoint of step {step}"
            kept = "there is no earlier one" if self.latest is None else f"the one of step {self.latest} is complete"
            raise CheckpointError(
                f"could not write {what} to {self._dir} ({kept}): {cause_of(error)}. "
                "Free space or fix the folder, then run the same command again to go on from there"
            ) from error

    def facts(self, step: int) -> dict[str, Any]:
        """What was saved beside the state.

        `Position.facts`, `frozen_fingerprint`, `config` (JSON text), and by path `arrays` and `checksums`.

        Raises:
          DamagedError: it is not what was saved.
          CheckpointError: an older version wrote it.
        """
        try:
            # Not through the manager: its processes would wait for one that cannot read.
            found, whole = read_facts(self._dir / str(step) / "facts")
        except Exception as error:
            raise self._unreadable(step, error) from error
        if found.keys() == _FACTS_WITHOUT_CHECKSUMS:
            raise CheckpointError(
                f"the checkpoint of step {step} in {self._dir} was written by an older version, without checksums: "
                "start in another workdir"
            )
        if not whole:
            raise self._damaged(step, "its facts are not those that were saved")
        if found["step"] != step:
            raise self._damaged(step, f"it is the one of step {found['step']}")
        return found

    def restore(self, step: int, like: TrainState, fingerprint: str) -> Restored:
        """The state of `step`, with the shapes, dtypes and shardings of `like` (arrays or `ShapeDtypeStruct`s).

        Raises:
          DamagedError: it is not what was saved; on all processes, if on one.
          CheckpointError: it was trained on other frozen weights, or by an optimizer with another state.
        """
        facts = self._agreed(step, lambda: self.facts(step))
        if facts["frozen_fingerprint"] != fingerprint:
            raise CheckpointError(
                f"the checkpoint of step {step} in {self._dir} was trained on other frozen weights (fingerprint "
                f"{facts['frozen_fingerprint'][:12]}..., these are {fingerprint[:12]}...): "
                "point the config at the weights it was trained on, or start in another workdir"
            )
        saved = like._replace(health=saved_health(facts["arrays"], like.health))  # it may be of other datasets
        target = jax.tree.map(ocp.utils.to_shape_dtype_struct, saved._asdict())
        wanted = arrays_of(saved)
        if wanted != facts["arrays"]:
            other = sorted(dict(wanted.items() ^ facts["arrays"].items()))
            raise CheckpointError(
                f"the checkpoint of step {step} in {self._dir} holds other arrays than this run's state, "
                f"{other[0]!r} among {len(other)}: undo the change of model, freezing or optimizer, or start "
                "in another workdir (RunConfig.initial takes parameters over)"
            )

        def read() -> TrainState:
            path = self._dir / str(step) / "state"
            return TrainState(**ocp.StandardCheckpointHandler().restore(path, args=ocp.args.StandardRestore(target)))

        state = self._agreed(step, lambda: self._readable(step, read))
        found = checksums(state._asdict())
        wrong = sorted(path for path, checksum in found.items() if checksum != facts["checksums"][path])
        if wrong:
            raise self._damaged(step, f"{wrong[0]} ({len(wrong)} of {len(found)} arrays) is not what was saved")
        return Restored(state._replace(health=for_datasets(state.health, like.health)), Position.of(facts))

    def restore_newest(
        self,
        like: TrainState,
        fingerprint: str,
        check: Callable[[Mapping[str, Any]], None] = lambda facts: None,
        *,
        back: int = 1,
    ) -> Restored | None:
        """The newest checkpoint that is whole; None if there is none. Damaged ones are set aside, and so named.

        Args:
          check: is given the facts of each before it is read, and may refuse.
          back: 1 for the newest, 2 for the one before it; the oldest if there are fewer. Newer ones are deleted.

        Raises:
          CheckpointError: as `restore`, or all there are are damaged.
        """
        self.wait()
        while True:
            steps = self.steps
            step = of_first(steps[-min(back, len(steps))] if steps else -1)
            if step < 0:
                break
            try:
                check(self._agreed(step, lambda step=step: self.facts(step)))
                restored = self.restore(step, like, fingerprint)
            except DamagedError as error:
                _logger.warning("%s. It is set aside, as %s", error, self._set_aside(step, str(error)))
            else:
                for newer in (each for each in steps if each > step):
                    self._manager.delete(newer)
                return restored
        if of_first(self._aside.exists() and any(self._aside.iterdir())):
            raise CheckpointError(
                f"all checkpoints of {self._dir} were damaged; they lie in {self._aside}. Start in another workdir, or "
                "remove that folder to start anew in this one"
            )
        return None

    def _agreed(self, step: int, read: Callable[[], Any]) -> Any:
        """What `read` gives; DamagedError on every process if it raised that on one."""
        error, found = None, None
        try:
            found = read()
        except CheckpointError as raised:
            error = raised
        if any_of(isinstance(error, DamagedError)) and not error:
            error = self._damaged(step, "another process cannot read it")
        if error:
            raise error
        return found

    def _readable(self, step: int, read: Callable[[], TrainState]) -> TrainState:
        try:
            return read()
        except Exception as error:  # Orbax and TensorStore raise nearly anything
            raise self._unreadable(step, error) from error

    def _unreadable(self, step: int, error: Exception) -> CheckpointError:
        if is_damage(error):
            return self._damaged(step, cause_of(error))
        return CheckpointError(
            f"cannot read the checkpoint of step {step} in {self._dir} now: {cause_of(error)}. It may be whole, so "
            "nothing was changed: mend the cause and try again"
        )

    def _damaged(self, step: int, why: str) -> DamagedError:
        return DamagedError(f"the checkpoint of step {step} in {self._dir} is damaged: {why}")

    def _set_aside(self, step: int, why: str) -> epath.Path:
        """Moves a checkpoint out of the way, with a note; returns where it is now."""
        place, count = self._aside / str(step), 1
        while place.exists():
            count += 1
            place = self._aside / f"{step}.{count}"
        wait_for_all()  # all have the same name for it
        if jax.process_index() == 0:
            self._aside.mkdir(parents=True, exist_ok=True)
            # In an object store a folder is there when something is in it.
            (self._aside / f"{place.name}.txt").write_text(f"{why}\n")
            (self._dir / str(step)).rename(place)
        wait_for_all()
        self._manager.reload()
        return place


def _best(metrics: Mapping[str, float]) -> float:
    return metrics["best"]
