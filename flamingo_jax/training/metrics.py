"""Where a run writes what it measures: `metrics.jsonl`, TensorBoard and the terminal."""

import itertools
import json
import math
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from etils import epath
from tensorboardX import SummaryWriter
from tqdm import tqdm

from flamingo_jax.training import mirror

_FLUSH_SECONDS = 10  # TensorBoard's files
_FILES = itertools.count()


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
        self._tensorboard = self._board(start)
        self._file = _appending(local / "metrics.jsonl")

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Logs `values` at `step`; NaN and infinities are written as null."""
        self._line({"step": step, "time": self._clock()} | {name: _plain(value) for name, value in values.items()})
        self._check_board()
        for name, value in values.items():
            self._tensorboard.add_scalar(name, float(value), step)

    def event(self, name: str, step: int, **facts: Any) -> None:
        """Notes that something happened at `step`, with JSON values that tell more.

        A "rollback" needs `to`: TensorBoard drops what stands after that step, as readers of the lines do.
        """
        self._line({"event": name, "step": step, "time": self._clock()} | _clean(facts))
        if name == "rollback":
            self._tensorboard.close()
            self._tensorboard = self._board(facts["to"])

    def close(self) -> None:
        """Ends the files; of an object store, writes what is not yet there."""
        self._file.close()
        self._tensorboard.close()
        if self._mirror is not None:
            self._mirror.close()

    def _line(self, entry: Mapping[str, Any]) -> None:
        self._file.write(json.dumps(entry) + "\n")
        self._file.flush()  # to the system, not to the disk: a line that a power failure takes is no loss

    def _check_board(self) -> None:
        """TensorBoard's file has a thread of its own. If that ends, as at a full disk, its queue is never emptied."""
        worker = getattr(getattr(self._tensorboard.file_writer, "event_writer", None), "_worker", None)
        if worker is not None and not worker.is_alive():
            raise OSError(f"{self._tensorboard_folder} can no longer be written: is the disk full?")

    def _board(self, done: int | None) -> SummaryWriter:
        """A new file of TensorBoard's; of what the others hold it shows nothing after update `done`."""
        return SummaryWriter(
            str(self._tensorboard_folder),
            flush_secs=_FLUSH_SECONDS,
            purge_step=None if done is None else done + 1,
            # Files are named by the second that they are begun in, and one of the same name would be written over.
            filename_suffix=f".{os.getpid()}.{next(_FILES)}",
        )


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
