"""Reading the annotation files of releases: JSON, JSON lines and CSV, with one clear error where a file is damaged."""

import csv
import io
import json
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from etils import epath

from flamingo_jax.config import ConfigError
from flamingo_jax.evaluation import text_files

T = TypeVar("T")

_NAMES = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    list: "a list",
    dict: "an object",
    bool: "true/false",
}
_AGAIN = "Was its download or unpacking cut short? Get it from its release again."


def read_json(path: epath.Path, keep: Callable[[dict], Any] | None = None) -> Any:
    """The content of a JSON file.

    Args:
      path: of the file.
      keep: is given each object as soon as it has been parsed, inner ones first; what it returns stands in its place.
        Annotation files hold up to a hundred million values, so drop here what nobody will use.

    Raises:
      ConfigError: the file cannot be read or is not complete JSON.
    """
    text = read_text(path)
    try:
        return json.loads(text, object_hook=keep)
    except (json.JSONDecodeError, RecursionError) as error:
        raise ConfigError(
            f"{path} is not complete JSON ({error}; it has {len(text):,} characters). {_AGAIN}"
        ) from error


def read_json_lines(path: epath.Path) -> list[dict]:
    """The objects of a file with one JSON object a line; blank lines do not count.

    Raises:
      ConfigError: the file cannot be read, or a line of it is not a JSON object.
    """
    return [record for _, record in text_files.read_objects(path, f". {_AGAIN}")]


def read_csv(path: epath.Path, columns: Sequence[str], delimiter: str = ",") -> list[dict[str, str]]:
    """The rows of a CSV file with a header, as header name -> text.

    Args:
      path: of the file; blank lines do not count.
      columns: names that the header must have; others may be there too.
      delimiter: between the fields of a row.

    Raises:
      ConfigError: the file cannot be read, its header lacks a column, or a row has too few or too many fields.
    """
    reader = csv.reader(io.StringIO(read_text(path), newline=""), delimiter=delimiter, strict=True)
    rows = []
    try:
        header = next(reader, [])
        if absent := [column for column in columns if column not in header]:
            raise ConfigError(f"{path} has no column {_listed(absent)}; its header has {_listed(header) or 'nothing'}.")
        for row in reader:
            if row and len(row) != len(header):
                raise ConfigError(
                    f"{path}, line {reader.line_num}: {len(row)} fields instead of {len(header)}. {_AGAIN}"
                )
            if row:
                rows.append(dict(zip(header, row, strict=True)))
    except csv.Error as error:
        raise ConfigError(f"{path}, line {reader.line_num} is not complete CSV ({error}). {_AGAIN}") from error
    return rows


def field(record: Any, name: str, kind: type[T] | tuple[type, ...], path: epath.Path, where: str | int) -> T:
    """The value `record[name]`, if it is of the kind.

    Args:
      record: an object of the file; anything else is a mistake of the file, too.
      name: of the value.
      kind: of the value. true and false are no numbers; a whole number is a `float`, too.
      path: of the file, for the message.
      where: the record's name in the file, such as "question 262148000", or its place, counted from 0.

    Raises:
      ConfigError: it is not there or of another kind.
    """
    if isinstance(record, dict) and name in record:
        value = record[name]
        kinds = kind if isinstance(kind, tuple) else (kind,)
        if (isinstance(value, kinds) or (float in kinds and isinstance(value, int))) and (
            not isinstance(value, bool) or bool in kinds
        ):
            return value
        wanted = " or ".join(_NAMES.get(one, one.__name__) for one in kinds)
        fault = f'"{name}" is {_kind(value)} instead of {wanted}'
    elif isinstance(record, dict):
        fault = f'there is no "{name}" (it has {_listed(record) or "nothing"})'
    else:
        fault = f"it is {_kind(record)} instead of an object"
    place = f"record {where}" if isinstance(where, int) else where
    raise ConfigError(
        f"{path}, {place}: {fault}. Is it the release's own file, of the release that this benchmark reads?"
    )


def read_text(path: epath.Path) -> str:
    """The text of a file, without a byte order mark.

    Raises:
      ConfigError: it cannot be read or is not UTF-8.
    """
    return text_files.read_text(path, f". {_AGAIN}")


def _kind(value: Any) -> str:
    return "null" if value is None else _NAMES.get(type(value), type(value).__name__)


def _listed(names: Any) -> str:
    """The first names, in quotes."""
    names = list(names)
    return ", ".join(f'"{name}"' for name in names[:8]) + (", ..." if len(names) > 8 else "")
