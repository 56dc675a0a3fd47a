"""Progress displays: shown on a terminal, silent in a log."""

import collections
import contextlib
import json
import sys
import threading
import time
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from tqdm import tqdm

T = TypeVar("T")

_INTERVAL = 0.5  # seconds between two writings of a worker, and two drawings of the display


def bar(things: Iterable[T], doing: str, unit: str) -> Iterable[T]:
    """The things one by one, with a bar on standard error that says what is being done to them."""
    return tqdm(things, desc=doing, unit=f" {unit}", disable=None)


class Board:
    """Counts what the workers of a build have done, in files of one folder, so that other processes can add to it.

    Only for display: the counts of a worker's last half second may be missing.
    """

    def __init__(self, folder: Path | None):
        """
        Args:
          folder: on this machine; None counts nothing (workers elsewhere: their runner has a display of its own).
        """
        self._folder = folder
        self._counts: collections.Counter[str] = collections.Counter()
        self._lock = threading.Lock()
        self._written = 0.0
        self._file = self._folder / f"{uuid.uuid4().hex}.json" if self._folder else None

    def __reduce__(self):
        return Board, (self._folder,)

    def add(self, what: str) -> None:
        """Counts one."""
        if self._file is None:
            return
        with self._lock:
            self._counts[what] += 1
            now = time.monotonic()
            if now - self._written < _INTERVAL:
                return
            self._written = now
            with contextlib.suppress(OSError):  # the display is no reason to fail
                part = self._file.with_suffix(".part")
                part.write_text(json.dumps(self._counts))
                part.replace(self._file)

    def read(self) -> dict[str, int]:
        """The counts of all workers."""
        total: collections.Counter[str] = collections.Counter()
        for file in sorted(self._folder.glob("*.json")) if self._folder else ():
            with contextlib.suppress(OSError, ValueError):
                total.update(json.loads(file.read_text()))
        return dict(total)

    @contextlib.contextmanager
    def shown(self) -> Iterator[None]:
        """While the context lasts, a line on standard error says how far the workers are, if that is a terminal."""
        if self._folder is None or not sys.stderr.isatty():
            yield
            return
        done = threading.Event()
        thread = threading.Thread(target=self._show, args=(done,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def _show(self, done: threading.Event) -> None:
        with tqdm(bar_format="{desc} [{elapsed}]") as line:
            while not done.wait(_INTERVAL):
                line.set_description_str(", ".join(f"{what} {count:,}" for what, count in self.read().items()))
