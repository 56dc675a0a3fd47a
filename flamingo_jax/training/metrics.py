"""Where a run writes what it measures: `metrics.jsonl`, TensorBoard and the terminal."""

import contextlib
import json
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from etils import epath
from tqdm import tqdm

from flamingo_jax.training import mirror
from flamingo_jax.training.event_file import EventFile


class MetricsWriter:
    """Appends a line for each logged step and event to `workdir/metrics.jsonl`; steps to `workdir/tensorboard` too.

    Each line holds its "time", seconds since 1970. The file is only ever appended to: after a resume or a rollback a
    step may stand twice, and the later line counts. Lines are there for other processes at once; in an object store
    within `mirror.INTERVAL`, and when the writer is closed.
    """

    def __init__(self, workdir: epath.Path, start: int | None = None, clock: Callable[[], float] = time.time):
        """
        Args:
          start: the update that a resumed run goes on from: TensorBoard drops what stands after it.
          clock: seconds since 1970.
        """
        workdir = epath.Path(workdir)
        self._clock = clock
        self._mirror = None if mirror.is_local(workdir) else mirror.Mirror(workdir)
        local = Path(os.fspath(workdir)) if self._mirror is None else self._mirror.folder
        if self._mirror is not None:
            self._mirror.fetch("metrics.jsonl")
        local.mkdir(parents=True, exist_ok=True)
        self._tensorboard_folder = local / "tensorboard"
        self._tensorboard = EventFile(self._tensorboard_folder, start)
        self._file = _appending(local / "metrics.jsonl")

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Logs `values` at `step`; NaN and infinities are written as null."""
        self._line({"step": step, "time": self._clock()} | {name: _plain(value) for name, value in values.items()})
        self.curves(step, values)

    def curves(self, step: int, values: Mapping[str, float]) -> None:
        """Shows `values` in TensorBoard alone."""
        with _explained(self._tensorboard_folder):
            self._tensorboard.write(step, values)

    def event(self, name: str, step: int, **facts: Any) -> None:
        """Notes that something happened at `step`, with JSON values that tell more.

        A "rollback" needs `to`: TensorBoard drops what stands after that step, as readers of the lines do.
        """
        self._line({"event": name, "step": step, "time": self._clock()} | _clean(facts))
        if name == "rollback":
            self._tensorboard.close()
            self._tensorboard = EventFile(self._tensorboard_folder, facts["to"])

    def close(self, *, upload: bool = True) -> None:
        """Ends the files; of an object store, writes what is not yet there. What could not be written was told of.

        Args:
          upload: False: the folder may be another run's by now, so nothing more goes there.
        """
        for file in (self._file, self._tensorboard):
            with contextlib.suppress(OSError):
                file.close()
        if self._mirror is not None:
            self._mirror.close(upload=upload)

    def _line(self, entry: Mapping[str, Any]) -> None:
        with _explained(self._file.name):
            self._file.write(json.dumps(entry) + "\n")
            self._file.flush()  # to the system, not to the disk: a line that a power failure takes is no loss


@contextlib.contextmanager
def _explained(path: Any) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OSError(
            f"cannot write {path}: {error.strerror}. Complete checkpoints stand: mend this, and run the same command "
            "again to go on from the newest"
        ) from error


def _appending(path: Path) -> Any:
    """The file at `path`, opened to append lines."""
    file = path.open("ab+")
    torn = False
    if file.tell():
        file.seek(-1, os.SEEK_END)
        torn = file.read(1) != b"\n"
    file.close()
    text = path.open("a", encoding="utf-8")
    if torn:
        text.write("\n")  # a killed run left half a line: keep ours apart from it
    return text


def _plain(value: Any) -> float | None:
    return float(value) if math.isfinite(value) else None


def _clean(value: Any) -> Any:
    """The same with null for numbers that JSON has not."""
    if isinstance(value, float):
        return _plain(value)
    if isinstance(value, Mapping):
        return {name: _clean(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(each) for each in value]
    return value


class Progress:
    """A progress bar with the loss and tokens a second."""

    def __init__(self, start: int, total: int):
        self._bar = tqdm(total=total, initial=start, unit="step", dynamic_ncols=True, smoothing=0.1)

    def done(self) -> None:
        """One more step is."""
        self._bar.update()

    def back(self, step: int) -> None:
        """The run goes on from `step` again."""
        self._bar.n = step
        self._bar.refresh()

    def show(self, loss: float, tokens_per_second: float) -> None:
        """Updates what stands beside the bar."""
        self._bar.set_postfix_str(f"loss {loss:.3f}, {tokens_per_second:,.0f} tokens/s")

    def close(self) -> None:
        self._bar.close()
