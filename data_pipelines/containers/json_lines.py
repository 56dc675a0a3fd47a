"""Records of JSON lines files (`.jsonl`, plain or compressed): one JSON value a line."""

import json
from collections.abc import Iterator
from typing import Any, BinaryIO

from data_pipelines.containers import damage, line_streams
from data_pipelines.pipeline.sketch import Drop

MAX_RECORD_BYTES = 1 << 26  # longer lines are no records: what has none would otherwise be read as one, into memory


def read(path: str, unit: str) -> Iterator[tuple[int, dict[str, Any]] | Drop]:
    """The records of a file, one at a time.

    Args:
      path: of the file.
      unit: what the drops count.

    Yields:
      (line number from 1, record), or drops: `record_not_json`, `record_not_an_object`, `record_too_many_bytes`, and
      `shard_truncated` where the file ends within a line or its compression breaks off. Blank lines are passed over.

    Raises:
      OSError: the file cannot be opened or read.
    """
    number = 0
    try:
        for stream in line_streams.streams(path):
            while line := stream.readline(MAX_RECORD_BYTES + 1):
                number += 1
                where = f"{path}, line {number}"
                if len(line) > MAX_RECORD_BYTES:
                    _skip_line(stream, line)
                    yield Drop("record_too_many_bytes", unit, where)
                elif line.strip():
                    yield from _record(line, number, unit, where)
    except damage.ERRORS as error:
        yield Drop("shard_truncated", unit, f"{path}, after line {number}: {damage.explain(error)}")


def _record(line: bytes, number: int, unit: str, where: str) -> Iterator[tuple[int, dict[str, Any]] | Drop]:
    record, rule = parse(line)
    if not rule:
        yield number, record
    elif rule == "record_not_json" and not line.endswith(b"\n"):
        yield Drop("shard_truncated", unit, f"{where}: the file ends within it")
    else:
        yield Drop(rule, unit, where)


def parse(encoded: bytes) -> tuple[dict[str, Any], str]:
    """(the JSON object in UTF-8, "") or ({}, `record_not_json` or `record_not_an_object`)."""
    try:
        value = json.loads(encoded)
    except (ValueError, RecursionError):  # the latter where brackets are nested by the thousand
        return {}, "record_not_json"
    return (value, "") if isinstance(value, dict) else ({}, "record_not_an_object")


def _skip_line(stream: BinaryIO, line: bytes) -> None:
    while line and not line.endswith(b"\n"):
        line = stream.readline(MAX_RECORD_BYTES)
