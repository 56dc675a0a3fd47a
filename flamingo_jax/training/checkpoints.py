"""Checkpoints hold the trainable part, and what is needed to trust it: the resolved config and the frozen fingerprint.

Orbax writes each one to a temporary name and commits it when it is whole, so a killed run or a full disk never leaves
a checkpoint that restores to something else than was saved.
"""

import dataclasses
import json
import re
from typing import Any

import jax
import orbax.checkpoint as ocp
from etils import epath

from flamingo_jax import config as config_lib
from flamingo_jax.training.state import TrainState

AT_RUN_TIME = {"attention", "dtype", "remat", "unroll"}
"""Fields of `FlamingoConfig` that say how a model is computed, and not which model it is."""


class CheckpointError(RuntimeError):
    """A checkpoint could not be written, or may not be used; the message says why and what to do."""


@dataclasses.dataclass(frozen=True)
class CheckpointConfig:
    """When to save, in updates, and how many of the newest checkpoints to keep."""

    every: int = 1_000
    keep: int = 3


class Checkpoints:
    """The checkpoints of one workdir. Use as a context manager: leaving waits for writes that are under way."""

    def __init__(self, workdir: epath.Path, config: CheckpointConfig):
        # Orbax refuses relative paths, but only when it writes.
        self._dir, self._config = epath.Path(workdir).resolve() / "checkpoints", config
        options = ocp.CheckpointManagerOptions(max_to_keep=config.keep, enable_async_checkpointing=True)
        self._dir.mkdir(parents=True, exist_ok=True)
        self._manager = ocp.CheckpointManager(self._dir, options=options)

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
    def latest(self) -> int | None:
        """The newest complete checkpoint's step."""
        return self._manager.latest_step()

    def due(self, step: int) -> bool:
        """Whether a run should save after its `step`-th update."""
        return step % self._config.every == 0

    def save(self, state: TrainState, run: Any, fingerprint: str) -> None:
        """Starts writing the checkpoint of `state.step`; returns when the values are copied, before they are on disk.

        Raises:
          CheckpointError: this or an earlier write failed, as on a full disk. Complete checkpoints are still there.
        """
        step = int(state.step)
        if step == self.latest:
            return
        facts = {"step": step, "data_step": step, "frozen_fingerprint": fingerprint, "config": config_lib.to_json(run)}
        items = ocp.args.Composite(state=ocp.args.StandardSave(state._asdict()), facts=ocp.args.JsonSave(facts))
        self._guarded(step, lambda: self._manager.save(step, args=items))

    def check(self) -> None:
        """Raises CheckpointError if a write that went on in the background has failed. Does not wait."""
        self._guarded(None, lambda: None)

    def wait(self) -> None:
        """Returns when all started writes are complete; raises CheckpointError if one failed."""
        self._guarded(None, self._manager.wait_until_finished)

    def _guarded(self, step: int | None, write) -> None:
        try:
            write()
            self._manager.check_for_errors()
        except Exception as error:
            what = "a checkpoint" if step is None else f"the checkpoint of step {step}"
            kept = "there is no earlier one" if self.latest is None else f"the one of step {self.latest} is complete"
            raise CheckpointError(
                f"could not write {what} to {self._dir} ({kept}): {_cause(error)}. "
                "Free space or fix the folder, then run the same command again to go on from there"
            ) from error

    def facts(self, step: int) -> dict[str, Any]:
        """What was saved beside the state: `step`, `data_step`, `frozen_fingerprint` and `config` (JSON text)."""
        try:
            return dict(self._manager.restore(step, args=ocp.args.Composite(facts=ocp.args.JsonRestore()))["facts"])
        except Exception as error:
            raise self._unreadable(step, error) from error

    def restore(self, step: int, like: TrainState, fingerprint: str, config: Any = None) -> TrainState:
        """The state of `step`, with the shapes, dtypes and shardings of `like` (arrays or `ShapeDtypeStruct`s).

        Raises:
          CheckpointError: it was trained on other frozen weights or another model (`config`, if given, is the model's
            config), or it cannot be read.
        """
        facts = self.facts(step)
        if facts["frozen_fingerprint"] != fingerprint:
            raise CheckpointError(
                f"the checkpoint of step {step} in {self._dir} was trained on other frozen weights (fingerprint "
                f"{facts['frozen_fingerprint'][:12]}..., these are {fingerprint[:12]}...): "
                "point the config at the weights it was trained on, or start in another workdir"
            )
        if config is not None:
            changed = _changed(facts, config)
            if changed:
                raise CheckpointError(
                    f"the checkpoint of step {step} in {self._dir} is of another model (changed: "
                    f"{', '.join(changed)}): undo the change, or start in another workdir"
                )
        target = jax.tree.map(ocp.utils.to_shape_dtype_struct, like._asdict())
        try:
            items = ocp.args.Composite(state=ocp.args.StandardRestore(target))
            return TrainState(**self._manager.restore(step, args=items)["state"])
        except Exception as error:
            raise self._unreadable(step, error) from error

    def _unreadable(self, step: int, error: Exception) -> CheckpointError:
        return CheckpointError(
            f"cannot read the checkpoint of step {step} in {self._dir}: {_cause(error)}. "
            f"If it is damaged, remove its folder {self._dir / str(step)} to go on from the one before it"
        )


def _changed(facts: dict[str, Any], config: Any) -> list[str]:
    """The fields by which a model differs from the saved one. One that it had not yet had the default."""
    saved = config_lib.from_config_dict(json.loads(facts["config"]))
    then, now = json.loads(config_lib.to_json(saved))["model"], json.loads(config_lib.to_json(config))
    return sorted(key for key in now.keys() - AT_RUN_TIME if then.get(key) != now[key])


def _cause(error: BaseException) -> str:
    """The innermost message, on one line: Orbax wraps what the file system said several times."""
    while inner := error.__cause__ or (None if error.__suppress_context__ else error.__context__):
        error = inner
    # TensorStore begins with what it was doing, ends with what the system said, and may append its whole specification.
    line = next((line for line in str(error).splitlines() if line.strip()), "")
    line = re.sub(r" \[\w+(\[\d+\])?='.*", "", line).strip().rstrip(".")
    if len(line) > 300:
        line = f"{line[:130]} ... {line[-160:]}"
    return f"{type(error).__name__} {line}".strip() if isinstance(error, KeyError) or not line else line
