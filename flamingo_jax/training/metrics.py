"""Where a run writes what it measures: `metrics.jsonl`, TensorBoard and the terminal."""

import json
import math
import time
from collections.abc import Mapping
from typing import Any

from etils import epath
from tensorboardX import SummaryWriter
from tqdm import tqdm


class MetricsWriter:
    """Appends one line per logged step to `workdir/metrics.jsonl` and the same to `workdir/tensorboard`.

    The file is only ever appended to. After a resume a step may stand twice: the later line counts.
    """

    def __init__(self, workdir: epath.Path):
        self._path = epath.Path(workdir) / "metrics.jsonl"
        self._tensorboard = SummaryWriter(str(epath.Path(workdir) / "tensorboard"), flush_secs=10)
        torn = self._path.exists() and not self._path.read_text().endswith("\n")
        self._file = self._path.open("a")
        if torn and self._file.tell():
            self._file.write("\n")  # a killed run left half a line: keep ours apart from it

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Logs `values` at `step`; NaN and infinities are written as null."""
        clean = {name: (float(value) if math.isfinite(value) else None) for name, value in values.items()}
        self._line({"step": step} | clean)
        for name, value in values.items():
            self._tensorboard.add_scalar(name, float(value), step)

    def event(self, name: str, step: int) -> None:
        """Notes that something happened at `step`, such as a resume."""
        self._line({"event": name, "step": step})

    def _line(self, entry: Mapping[str, Any]) -> None:
        self._file.write(json.dumps(entry) + "\n")
        self._file.flush()

    def close(self) -> None:
        self._file.close()
        self._tensorboard.close()


class Progress:
    """A progress bar with loss, tokens a second and the time that is left."""

    def __init__(self, start: int, total: int):
        self._bar = tqdm(total=total, initial=start, unit="step", dynamic_ncols=True, smoothing=0.1)
        self._last = time.perf_counter()

    def tick(self, tokens: float) -> dict[str, float]:
        """A step over `tokens` tokens is done; returns the seconds it took, and tokens a second."""
        now = time.perf_counter()
        seconds, self._last = now - self._last, now
        self._bar.update()
        return {"step_seconds": seconds, "tokens_per_second": tokens / seconds}

    def show(self, loss: float, tokens_per_second: float) -> None:
        """Updates what stands beside the bar."""
        self._bar.set_postfix_str(f"loss {loss:.3f}, {tokens_per_second:,.0f} tokens/s")

    def close(self) -> None:
        self._bar.close()
