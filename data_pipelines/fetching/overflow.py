"""Addresses that find no room in memory: they wait in a temporary file."""

import json
import tempfile
from collections.abc import Iterator
from typing import IO


class Overflow:
    """A queue on disk."""

    def __init__(self):
        self._file: IO[bytes] | None = None

    def __bool__(self) -> bool:
        return self._file is not None

    def add(self, url: str) -> None:
        """Lets an address wait.

        Raises:
          OSError: the disk is full.
        """
        if self._file is None:
            self._file = tempfile.TemporaryFile()  # noqa: SIM115  `drain` closes it, or the process ends
        self._file.write(json.dumps(url).encode() + b"\n")

    def drain(self) -> Iterator[str]:
        """The addresses that wait now. What is added meanwhile waits for the next call."""
        file, self._file = self._file, None
        if file is None:
            return
        with file:
            file.seek(0)
            for line in file:
                yield json.loads(line)
