"""Files that grow, in a store whose objects are written whole: a local copy, and uploads of all of it at intervals.

Object stores cannot append. Opened to append, a file in Cloud Storage would be replaced (gcsfs), and what is written
would be seen only once the file is closed.
"""

import logging
import tempfile
import threading
import time
from pathlib import Path

from etils import epath

_logger = logging.getLogger(__name__)

INTERVAL = 60.0
"""Seconds between two uploads."""

_LARGEST_SHARE = 0.05  # of the time that uploads may take: the larger the files, the more seldom
_ATTEMPTS, _PAUSE = 3, 2.0  # of the last upload, and the seconds between


def is_local(path: epath.PathLike) -> bool:
    """Whether a path is one of this machine's file systems, where files can be appended to."""
    return "://" not in str(path)


class Mirror:
    """A local folder whose files are copied to `target`, each whole, at intervals and at the end.

    An upload that fails is tried again at the next interval, and the log says so once: a store that is away for a
    while must not end a run. Close it; if the last upload fails too, the log says where the files are.
    """

    def __init__(self, target: epath.Path, interval: float = INTERVAL):
        """
        Args:
          target: a folder of the store.
          interval: seconds between two uploads.
        """
        self.folder = Path(tempfile.mkdtemp(prefix="flamingo_metrics_"))
        self._target, self._interval = target, interval
        self._sent: dict[Path, int] = {}
        self._warned, self._end = False, threading.Event()
        self._thread = threading.Thread(target=self._run, name="mirror", daemon=True)
        self._thread.start()

    def fetch(self, name: str) -> Path:
        """The local copy of a file, with what is there in the store already."""
        path = self.folder / name
        try:
            content = (self._target / name).read_bytes()
        except FileNotFoundError:
            content = b""
        self._sent[path] = len(content)
        path.write_bytes(content)
        return path

    def close(self, *, upload: bool = True) -> None:
        """Uploads what has not been, and removes the local copy; or leaves both as they are."""
        self._end.set()
        self._thread.join()
        if not upload:
            _logger.warning("%s: the latest metrics are only in %s", self._target, self.folder)
            return
        for attempt in range(_ATTEMPTS):
            try:
                self._upload()
                break
            except Exception as error:  # stores raise nearly anything
                if attempt + 1 == _ATTEMPTS:
                    _logger.warning("%s: the latest metrics are only in %s: %s", self._target, self.folder, error)
                    return
                time.sleep(_PAUSE)
        for path in sorted(self.folder.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        self.folder.rmdir()

    def _run(self) -> None:
        pause = self._interval
        while not self._end.wait(pause):
            start = time.monotonic()
            try:
                self._upload()
            except Exception as error:
                if not self._warned:
                    _logger.warning("%s: metrics are not written for now, will try again: %s", self._target, error)
                self._warned = True
            pause = max(self._interval, (time.monotonic() - start) / _LARGEST_SHARE)

    def _upload(self) -> None:
        """Files only grow, so that one of the size that was sent is as it was."""
        for path in sorted(path for path in self.folder.rglob("*") if path.is_file()):
            content = path.read_bytes()
            if self._sent.get(path) != len(content):
                target = self._target.joinpath(*path.relative_to(self.folder).parts)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content)
                self._sent[path] = len(content)
