"""Reading pieces of a local file into memory of their own.

Not by mapping the file: touched pages of a map count as this process's memory, so that walking once through a large
checkpoint would look like holding all of it.
"""

import os
import pathlib

import numpy as np
from etils import epath

from flamingo_jax.interop.files.tensors import WeightsError


class PositionalFile:
    """An open local file, read by offset. Safe to share between threads.

    Attributes:
      path: the file. The object keeps working when the name is removed.
      size: its length in bytes when it was opened.
    """

    def __init__(self, path: epath.Path):
        self.path = path
        self._file = pathlib.Path(path).open("rb", buffering=0)  # noqa: SIM115
        self.size = os.fstat(self._file.fileno()).st_size

    def read(self, start: int, size: int) -> np.ndarray:
        """`size` bytes from byte `start` on, as a fresh uint8 array.

        Raises:
          WeightsError: the file ends before, or cannot be read.
        """
        data = np.empty(size, np.uint8)
        view, done = memoryview(data), 0
        while done < size:
            try:
                count = os.preadv(self._file.fileno(), [view[done:]], start + done)
            except OSError as error:
                raise WeightsError(f"{self.path} cannot be read: {error.strerror or error}") from error
            if not count:
                raise WeightsError(
                    f"{self.path} ends at byte {start + done}, where {size - done} more should follow: "
                    "it was cut while it was open; fetch it again"
                )
            done += count
        return data

    def close(self) -> None:
        self._file.close()
