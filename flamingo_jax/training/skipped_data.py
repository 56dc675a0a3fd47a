"""What rollbacks have skipped, beside the checkpoints: a run that is killed after one goes on as it would have."""

import dataclasses
import json

import jax
from etils import epath

from flamingo_jax.html.files import write_whole
from flamingo_jax.parallel.hosts import any_of, of_first
from flamingo_jax.training.checkpoint_errors import CheckpointError
from flamingo_jax.training.position import Position

FILE = "skipped_data.json"


class SkippedData:
    """For each checkpoint that the run went back to: where its data go on, and how often it went back by then."""

    def __init__(self, workdir: epath.Path):
        self._path = workdir / FILE

    def forget(self) -> None:
        """Of a run that begins anew: deletes what another has left."""
        if jax.process_index() == 0:
            self._path.unlink(missing_ok=True)

    def note(self, position: Position) -> None:
        """Keeps what the run goes on with after a rollback to `position.step`.

        Raises:
          OSError: it cannot be written.
        """
        if jax.process_index() == 0:
            entry = {"data_step": position.data_step, "roll_backs": position.roll_backs}
            write_whole(self._path, json.dumps(self._read() | {str(position.step): entry}, indent=1) + "\n")

    def after(self, position: Position) -> Position:
        """Where to go on from a checkpoint. All processes must call it: the first one's file counts."""
        entry, error = {}, None
        try:
            entry = self._read().get(str(position.step), {}) if jax.process_index() == 0 else {}
        except CheckpointError as raised:
            error = raised
        if any_of(error is not None):  # so that none waits for the first process
            raise error or CheckpointError(f"{self._path} is damaged: the first process says more")
        # A later checkpoint of the same number may be further than an earlier rollback.
        further = {name: max(value, entry.get(name, 0)) for name, value in _numbers(position).items()}
        return dataclasses.replace(position, **{name: of_first(value) for name, value in further.items()})

    def _read(self) -> dict[str, dict[str, int]]:
        if not self._path.exists():
            return {}
        try:
            return {step: _known(entry) for step, entry in json.loads(self._path.read_text()).items()}
        except (ValueError, AttributeError, KeyError, TypeError) as error:
            raise CheckpointError(
                f"{self._path} is damaged ({error!r}): delete it to go on; data that rollbacks since the newest "
                "checkpoint had skipped are then met once more"
            ) from error


def _known(entry: dict[str, int]) -> dict[str, int]:
    return {name: int(entry[name]) for name in ("data_step", "roll_backs")}


def _numbers(position: Position) -> dict[str, int]:
    return {"data_step": position.data_step, "roll_backs": position.roll_backs}
