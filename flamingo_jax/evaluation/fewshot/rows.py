"""The answers of an evaluation as they come, in files of JSON lines that a killed evaluation goes on with."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from etils import epath

from flamingo_jax.config import ConfigError
from flamingo_jax.html.files import write_whole


class Rows:
    """The rows of one number of shots, selection and seed.

    They are kept in whole chunks, as items are answered: an evaluation that goes on asks the same batches as one that
    was never killed, so its answers are the same to the last bit.
    """

    def __init__(self, path: epath.Path, keys: Sequence[str], chunk: int):
        """
        Args:
          keys: of all items, in the order in which they are asked about.
          chunk: items of a batch.

        Raises:
          ConfigError: the file holds other items.
        """
        self.path, self._keys, self._chunk = path, keys, chunk
        self.rows = self._read()
        whole = len(self.rows) if len(self.rows) == len(keys) else len(self.rows) // chunk * chunk
        if [row["key"] for row in self.rows] != list(keys[: len(self.rows)]):
            raise ConfigError(f"{path} holds answers to other items: delete it, or give another --output")
        self.rows = self.rows[:whole]
        self.rewrite()

    def _read(self) -> list[dict[str, Any]]:
        """The rows that are there, without a last line that a killed process left unfinished."""
        if not self.path.exists():
            return []
        lines = self.path.read_bytes().split(b"\n")
        try:
            rows = [dict(json.loads(line)) for line in lines[:-1]]
            _ = [row["key"] for row in rows]
            return rows
        except (ValueError, TypeError, KeyError) as error:
            raise ConfigError(f"{self.path} is damaged ({error}): delete it to ask anew") from error

    def chunks(self) -> Iterator[range]:
        """The places of the items that are still to be asked about, batch by batch."""
        for start in range(len(self.rows), len(self._keys), self._chunk):
            yield range(start, min(start + self._chunk, len(self._keys)))

    def add(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Appends the rows of a chunk; they are on their way to the disk when this returns."""
        self.rows += rows
        if "://" in str(self.path):  # object stores cannot append: a kill may cost a tenth of the answers
            if len(self.rows) > 1.1 * self._written or len(self.rows) == len(self._keys):
                self.rewrite()
            return
        with Path(self.path).open("a", encoding="utf-8") as file:
            file.write("".join(map(_line, rows)))

    def rewrite(self) -> None:
        """Writes all rows anew, after something was added to them."""
        self._written = len(self.rows)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(self.path, "".join(map(_line, self.rows)))


def _line(row: Mapping[str, Any]) -> str:
    return json.dumps(row, ensure_ascii=False) + "\n"
