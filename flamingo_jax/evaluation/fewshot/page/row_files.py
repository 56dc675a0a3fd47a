"""The rows of an evaluation from the files that hold them."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from etils import epath

Row = dict[str, Any]


class RowFiles:
    """The rows of JSONL files, one after the other, read line by line; may be gone through several times."""

    def __init__(self, paths: Sequence[epath.PathLike]):
        self.paths = tuple(epath.Path(path) for path in paths)

    def __iter__(self) -> Iterator[Row]:
        """The rows in the order of the files and their lines; a last line that was cut short is passed over.

        Raises:
          OSError: a file cannot be read.
          ValueError: a line before the last is not a JSON object; the message names it.
        """
        for path in self.paths:
            with path.open("rb") as file:
                for number, line in enumerate(file, 1):
                    row = _parse(line)
                    if row is not None:
                        yield row
                    elif line.endswith(b"\n") and line.strip():
                        raise ValueError(f"{path}, line {number} is not a row (a JSON object): {line[:80]!r}")


def _parse(line: bytes) -> Row | None:
    try:
        row = json.loads(line)
    except ValueError:
        return None
    return row if isinstance(row, dict) else None
