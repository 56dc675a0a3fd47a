"""One cell of a Parquet file, for images that a table holds as bytes.

Parquet has no random access below a row group, whose values are compressed together. Reading one cell costs what stands
before it in its row group (img2dataset writes 100 rows each, pandas a million); reading cells in their order costs each
row group once. Tars are the better form for a corpus.
"""

import bisect
import itertools
import threading
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from etils import epath

from data_pipelines.containers import damage, parquet_rows

FORM = "parquet"  # of a `Reference` whose place is read by `read_cell`
_BATCH = 16  # rows in memory at once

_open = threading.local()


def read_cell(path: str, place: str) -> bytes:
    """The bytes in a cell.

    Args:
      path: of the Parquet file; may be `gs://`.
      place: row, from 0, and column, parted by "/"; then the fields of nested columns, such as "12/image/bytes".

    Raises:
      OSError: the file cannot be read.
      ValueError: it is damaged, or has no such cell, or no bytes in it.
    """
    row, _, steps = place.partition("/")
    column, *fields = steps.split("/")
    try:
        value = _cursor(path, column).at(int(row))
        for field in fields:
            value = value[int(field)] if isinstance(value, list) else value[field]
    except damage.ERRORS as error:
        _open.cursor = None
        raise ValueError(f"{path}, cell {place}: {damage.explain(error)}") from None
    except (KeyError, IndexError, TypeError):
        raise ValueError(f"{path}: no cell {place}") from None
    if not isinstance(value, bytes):
        raise ValueError(f"{path}, cell {place}: {'null' if value is None else type(value).__name__}, not bytes")
    return value


class _Cursor:
    """Reads cells of one column in rising order without reading any twice."""

    def __init__(self, path: str, column: str):
        self._file = pq.ParquetFile(epath.Path(path).open("rb"), buffer_size=parquet_rows.BUFFER, pre_buffer=False)
        if column not in self._file.schema_arrow.names:
            raise ValueError(f"no column {column!r}")
        sizes = (self._file.metadata.row_group(group).num_rows for group in range(self._file.num_row_groups))
        self._starts = [0, *itertools.accumulate(sizes)]
        self._column, self._group, self._first = column, -1, 0
        self._values: pa.Array | list = []

    def at(self, row: int) -> Any:
        if not 0 <= row < self._starts[-1]:
            raise ValueError(f"no row {row}: there are {self._starts[-1]}")
        group = bisect.bisect_right(self._starts, row) - 1
        if group != self._group or row < self._first:
            self._batches = self._file.iter_batches(_BATCH, row_groups=[group], columns=[self._column])
            self._group, self._first, self._values = group, self._starts[group], []
        while row >= self._first + len(self._values):
            self._first += len(self._values)
            batch = next(self._batches, None)
            if batch is None:
                raise ValueError(f"row group {group} ends before row {row}")
            self._values = batch.column(self._column)
        return self._values[row - self._first].as_py()


def _cursor(path: str, column: str) -> _Cursor:
    """The cursor of this thread, if it stands in this column of this file as it is now; else a new one."""
    identity = (path, column, *_version(path))
    if getattr(_open, "cursor", None) is None or _open.identity != identity:
        _open.cursor, _open.identity = _Cursor(path, column), identity
    return _open.cursor


def _version(path: str) -> tuple:
    """What changes when a file is replaced."""
    if "://" in path:
        status = epath.Path(path).stat()
        return status.length, status.mtime
    status = Path(path).stat()
    return status.st_ino, status.st_size, status.st_mtime_ns
