"""The answers of an evaluation as they come, in files of JSON lines that a killed evaluation goes on with."""

import io
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from etils import epath

from flamingo_jax.config import ConfigError
from flamingo_jax.evaluation.fewshot.row_files import Row, read_rows
from flamingo_jax.html.files import write_whole


class Rows:
    """The rows of one number of shots, selection and seed; they stay in their file, which is read anew each time.

    They are kept in whole chunks, as items are answered: an evaluation that goes on asks the same batches as one that
    was never killed, so its answers are the same to the last bit.
    """

    def __init__(self, path: epath.Path, keys: Sequence[str], chunk: int):
        """Reads what is there and changes nothing: another process may be at work on it.

        Args:
          keys: of all items, in the order in which they are asked about.
          chunk: items of a batch.

        Raises:
          ConfigError: the file holds other items, or is damaged.
        """
        self.path, self._keys, self._chunk = path, keys, chunk
        self._end = path.stat().length if path.exists() else 0
        self._count, self._size = self._whole()  # of whole chunks; bytes
        self._waiting: list[bytes] = []  # lines that are on no disk yet

    def __len__(self) -> int:
        """Rows of whole chunks."""
        return self._count

    def __iter__(self) -> Iterator[Row]:
        """The rows of whole chunks, as they stand in the file."""
        return (row for row, _ in itertools.islice(self._read(), self._count))

    @property
    def complete(self) -> bool:
        """Whether there is a row for each item."""
        return self._count == len(self._keys)

    def chunks(self) -> Iterator[range]:
        """The places of the items that are still to be asked about, batch by batch."""
        for start in range(self._count, len(self._keys), self._chunk):
            yield range(start, min(start + self._chunk, len(self._keys)))

    def add(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Appends the rows of a chunk; they are on their way to the disk when this returns.

        Raises:
          ConfigError: another process has written to the file.
        """
        lines = [*map(_line, rows)]
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if "://" in str(self.path):
            self._add_to_store(lines)
            return
        with Path(self.path).open("ab") as file:
            if file.seek(0, io.SEEK_END) != self._end:
                raise ConfigError(
                    f"{self.path}: another command is answering the same items; wait for it, or end one of them"
                )
            if self._end > self._size:  # a process was killed within a chunk
                file.truncate(self._size)
            file.writelines(lines)
        self._count += len(lines)
        self._size = self._end = self._size + sum(map(len, lines))

    def note(self, name: str, values: Iterable[Any]) -> None:
        """Writes all rows anew, each with its value under this name."""
        write_whole(self.path, (_line(row | {name: value}) for row, value in zip(self, values, strict=True)))
        self._size = self._end = self.path.stat().length

    def _add_to_store(self, lines: Sequence[bytes]) -> None:
        """Object stores cannot append: all is written anew at times. A kill may cost a tenth of the answers."""
        self._count, self._waiting = self._count + len(lines), [*self._waiting, *lines]
        written = self._count - len(self._waiting)
        if self._count > 1.1 * written or self.complete:
            kept = (line for _, line in itertools.islice(self._read(), written))
            write_whole(self.path, itertools.chain(kept, self._waiting))
            self._waiting = []

    def _whole(self) -> tuple[int, int]:
        """The rows of whole chunks, and their bytes."""
        count = size = 0
        whole = 0, 0
        for row, line in self._read():
            if count == len(self._keys) or row.get("key") != self._keys[count]:
                raise ConfigError(f"{self.path} holds answers to other items: delete it, or give another --output")
            count, size = count + 1, size + len(line)
            if count % self._chunk == 0 or count == len(self._keys):
                whole = count, size
        return whole

    def _read(self) -> Iterator[tuple[Row, bytes]]:
        if not self.path.exists():
            return
        try:
            yield from read_rows(self.path)
        except ValueError as error:
            raise ConfigError(f"{error}. The file is damaged: delete it to ask anew") from error


def _line(row: Mapping[str, Any]) -> bytes:
    return (json.dumps(row, ensure_ascii=False) + "\n").encode()
