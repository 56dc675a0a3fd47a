"""Records of annotation files: lists of them, and what they hold: lists of texts, whole numbers, seconds of a clip."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from etils import epath

from flamingo_jax.config import ConfigError
from flamingo_jax.evaluation.benchmarks.annotation_files import field, read_json


def read_records(path: epath.Path, keep: Callable[[dict], Any] | None = None) -> list:
    """The records of a JSON file that is one list; `keep` as in `read_json`.

    Raises:
      ConfigError: the file cannot be read, is not complete, or is not a list with something in it.
    """
    records = read_json(path, keep)
    if not isinstance(records, list) or not records:
        raise ConfigError(
            f"{path} is not a list of records. Is it the release's own file, of the release that this benchmark reads?"
        )
    return records


def texts(record: Any, name: str, path: epath.Path, where: str | int) -> tuple[str, ...]:
    """The texts of the list `record[name]`; the other arguments are as in `field`.

    Raises:
      ConfigError: it is not there, is empty or has something else in it.
    """
    found = field(record, name, list, path, where)
    if not found or not all(isinstance(text, str) for text in found):
        place = f"record {where}" if isinstance(where, int) else where
        raise ConfigError(f'{path}, {place}: "{name}" is not a list of texts. Is it the release\'s own file?')
    return tuple(found)


def whole(row: Mapping[str, str], name: str, path: epath.Path, place: int) -> int:
    """The whole number in a field of a CSV row, the `place`-th after the header, counted from 0.

    Raises:
      ConfigError: the field holds something else.
    """
    try:
        return int(row[name])
    except ValueError:
        raise ConfigError(
            f'{path}, row {place + 1} after the header: "{name}" is {row[name]!r} instead of a whole number. '
            "Is it the release's own file?"
        ) from None


def seconds(start: Any, end: Any, path: epath.Path, where: str) -> tuple[float, float]:
    """The span from start to end; where it has no length, the second from its start on.

    Raises:
      ConfigError: they are not two times.
    """
    numbers = [float(time) for time in (start, end) if isinstance(time, int | float) and not isinstance(time, bool)]
    if len(numbers) < 2 or not all(math.isfinite(time) and time >= 0 for time in numbers):
        raise ConfigError(
            f"{path}, {where}: {start!r} to {end!r} are no seconds of a clip. Is it the release's own file?"
        )
    first, last = numbers
    return first, (last if last > first else first + 1)
