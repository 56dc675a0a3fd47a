"""Rows of Parquet files, a few at a time and only the columns that are asked for."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from etils import epath

from data_pipelines.containers import damage
from data_pipelines.pipeline.sketch import Drop

_BATCH = 64  # rows in memory at once
BUFFER = 1 << 20  # bytes of each column in memory at once


@contextlib.contextmanager
def opened(path: str) -> Iterator[pq.ParquetFile]:
    """An open file that streams: of a row group it reads what is asked for, not all.

    Raises:
      OSError: the file cannot be opened.
      damage.Damaged: it is no Parquet file, or lacks its end, where the format keeps its table of contents.
    """
    with epath.Path(path).open("rb") as source:
        start = source.read(4)
        source.seek(0)
        try:
            file = pq.ParquetFile(source, buffer_size=BUFFER, pre_buffer=False)
        except damage.ERRORS as error:
            rule = "shard_truncated" if start == b"PAR1" else "shard_damaged"
            raise damage.Damaged(rule, damage.explain(error)) from None
        with file:
            yield file


def read(
    path: str, unit: str, choose: Callable[[pa.Schema], Sequence[str]]
) -> Iterator[tuple[int, dict[str, Any]] | Drop]:
    """The rows of a file.

    Args:
      path: of the file.
      unit: what the drops count.
      choose: names the columns to read; raises `damage.Damaged` if the schema lacks what is needed.

    Yields:
      (row number from 0, {column: value}), or drops: `row_undecodable`; `row_group_damaged` for what was not read of a
      row group; `shard_truncated`, `shard_damaged` or the rule of `choose` for the file.

    Raises:
      OSError: the file cannot be opened or read.
    """
    try:
        with opened(path) as file:
            columns, first = list(choose(file.schema_arrow)), 0
            if any(file.schema_arrow.names.count(name) != 1 for name in columns):
                raise damage.Damaged("columns_repeated", f"two columns of one name among {', '.join(columns)}")
            for group in range(file.num_row_groups):
                rows = file.metadata.row_group(group).num_rows
                yield from _group(file, group, columns, first, rows, unit, path)
                first += rows
    except damage.Damaged as error:
        yield Drop(error.rule, unit, f"{path}: {error}")


def _group(
    file: pq.ParquetFile, group: int, columns: list[str], first: int, rows: int, unit: str, path: str
) -> Iterator[tuple[int, dict[str, Any]] | Drop]:
    done = 0
    try:
        for batch in file.iter_batches(batch_size=_BATCH, row_groups=[group], columns=columns):
            for index in range(batch.num_rows):
                row = first + done
                done += 1
                try:
                    record = {name: batch.column(name)[index].as_py() for name in columns}
                except (ValueError, OverflowError):  # text that is not UTF-8, dates beyond Python's
                    yield Drop("row_undecodable", unit, f"{path}, row {row}")
                else:
                    yield row, record
    except damage.ERRORS as error:
        where = f"{path}, row group {group}: {damage.explain(error)}"
        yield Drop("row_group_damaged", unit, where, count=max(1, rows - done))
