"""Records of the files that users bring: CSV with a header, or JSON lines."""

import csv
import io
from collections.abc import Iterator
from typing import Any

from etils import epath

from flamingo_jax.config import ConfigError
from flamingo_jax.evaluation.text_files import Record, read_objects, read_text


def read_table(path: epath.PathLike) -> Iterator[Record]:
    """The records of a file whose name ends in .csv or .jsonl.

    Raises:
      ConfigError: it cannot be read, its name ends otherwise, or it is damaged.
    """
    path = epath.Path(path)
    if path.suffix.lower() == ".csv":
        return _read_csv(path)
    if path.suffix.lower() == ".jsonl":
        return read_objects(path)
    raise ConfigError(f"{path}: its name must end in .csv or .jsonl, so that it is known how to read it")


def key_of(record: dict[str, Any], where: str) -> str:
    """The picture's key; whole numbers are taken as written.

    Raises:
      ConfigError: there is none, or it is neither a text nor a whole number.
    """
    key = record.get("key")
    if isinstance(key, bool) or not isinstance(key, str | int) or not str(key).strip():
        raise ConfigError(f'{where}: "key" must be the key of a picture, as the rows have it; got {key!r}')
    return str(key).strip()


def _read_csv(path: epath.Path) -> Iterator[Record]:
    reader = csv.reader(io.StringIO(_text(path), newline=""), strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
        if "key" not in header:
            raise ConfigError(
                f'{path} has no column "key"; its header has {", ".join(map(repr, header)) or "nothing"}: name the '
                "columns in the first line, with commas between them"
            )
        if "" in header or len(set(header)) < len(header):
            raise ConfigError(f"{path}: columns in the first line have no name, or the same: {header!r}; name each")
        for row in reader:
            where = f"{path}, line {reader.line_num}"
            if row and len(row) != len(header):
                raise ConfigError(f"{where} has {len(row)} fields, and the header {len(header)}: make them as many")
            if row:
                yield where, dict(zip(header, row, strict=True))
    except csv.Error as error:
        raise ConfigError(f"{path}, line {reader.line_num} is not CSV ({error}): mend the line") from error


def _text(path: epath.Path) -> str:
    return read_text(path, mend=": save it as UTF-8")
