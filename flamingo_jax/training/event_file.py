"""A file of scalars for TensorBoard, written by the thread that has them.

tensorboardX's own writer has a thread and a queue between. When a disk is full that thread ends, and whoever fills the
queue waits for ever; here it is an error, where it happens.
"""

import itertools
import os
import time
from collections.abc import Mapping
from pathlib import Path

from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto.event_pb2 import Event, SessionLog
from tensorboardX.summary import scalar

_FLUSH_SECONDS = 10
_FILES = itertools.count()


class EventFile:
    """One file in a folder of TensorBoard's."""

    def __init__(self, folder: Path, done: int | None = None):
        """
        Args:
          done: of what the folder's other files hold TensorBoard shows nothing after this update.

        Raises:
          OSError: it cannot be written; as do the methods.
        """
        folder.mkdir(parents=True, exist_ok=True)
        # Files are named by the second that they are begun in, and one of the same name would be written over.
        self._writer = EventsWriter(str(folder / "events"), f".{os.getpid()}.{next(_FILES)}")
        if done is not None:
            start = SessionLog(status=SessionLog.START)
            self._writer.write_event(Event(wall_time=time.time(), step=done + 1, session_log=start))
        self._writer.flush()
        self._flushed = time.monotonic()

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Adds the scalars of an update."""
        for name, value in values.items():
            summary = scalar(name, float(value))
            self._writer.write_event(Event(wall_time=time.time(), step=step, summary=summary))
        if time.monotonic() - self._flushed > _FLUSH_SECONDS:
            self._writer.flush()
            self._flushed = time.monotonic()

    def close(self) -> None:
        """Writes what is left."""
        self._writer.close()
