"""The rows of an evaluation from the files that hold them."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from etils import epath

Row = dict[str, Any]


def read_rows(path: epath.Path) -> Iterator[tuple[Row, bytes]]:
    """Each row of a JSONL file and its line, end included, read line by line.

    A last line without its end is passed over: a process that was killed left it, or one is writing it.

    Raises:
      OSError: the file cannot be read.
      ValueError: a line is not a JSON object; the message names it.
    """
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.endswith(b"\n"):
                return
            row = _parse(line)
            if row is None:
                raise ValueError(f"{path}, line {number} is not a row (a JSON object): {line[:80]!r}")
            yield row, line


class RowFiles:
    """The rows of JSONL files, one after the other; may be gone through several times."""

    def __init__(self, paths: Sequence[epath.PathLike]):
        self.paths = tuple(epath.Path(path) for path in paths)

    def __iter__(self) -> Iterator[Row]:
        """The rows in the order of the files and their lines; errors are those of `read_rows`."""
        for path in self.paths:
            for row, _ in read_rows(path):
                yield row


def _parse(line: bytes) -> Row | None:
    try:
        row = json.loads(line)
    except ValueError:
        return None
    return row if isinstance(row, dict) else None
