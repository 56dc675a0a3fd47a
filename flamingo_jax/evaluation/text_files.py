"""Text and JSON lines that somebody else wrote, with one clear error where a file cannot be read."""

import json
from collections.abc import Iterator
from typing import Any

from etils import epath

from flamingo_jax.config import ConfigError

Record = tuple[str, dict[str, Any]]
"""Where a record stands, for messages, and what it holds."""


def read_text(path: epath.Path, mend: str) -> str:
    """The text of a file, without a byte order mark.

    Args:
      mend: how the message goes on where the file is not UTF-8: what to do, with the punctuation before it.

    Raises:
      ConfigError: it cannot be read or is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 text (byte {error.start:,}){mend}") from error
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror or error}") from error


def read_objects(path: epath.Path, mend: str = ": write one JSON object a line, in UTF-8") -> Iterator[Record]:
    """The objects of a file with one JSON object a line; blank lines do not count.

    Args:
      mend: how messages go on, as for `read_text`.

    Raises:
      ConfigError: it cannot be read, or a line is not a JSON object.
    """
    for number, line in enumerate(read_text(path, mend).split("\n"), 1):  # not splitlines: texts may hold U+2028
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise ConfigError(f"{where} is not JSON ({error}){mend}") from error
        if not isinstance(record, dict):
            raise ConfigError(f"{where} is not a JSON object{mend}")
        yield where, record
