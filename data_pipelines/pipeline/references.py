"""The bytes that a `Reference` names."""

import base64
import json

from etils import epath
from fastwarc.warc import ArchiveIterator

from data_pipelines.containers import parquet_cells
from data_pipelines.pipeline import sketch

_MOST = 1 << 30  # bytes; no image, and no clip that a build cuts, has more


class TooLargeError(ValueError):
    """There are more bytes than were asked for."""


def read(reference: sketch.Reference, most: int = _MOST) -> bytes:
    """Reads one image or clip.

    Raises:
      TooLargeError: it has more than `most` bytes, which are not all read.
      OSError: the file cannot be read, or ends before the span does.
      ValueError: what is there is not what the reference says.
    """
    content = _READERS[reference.form](reference, most)
    if len(content) > most:
        raise TooLargeError(f"{reference.path}: more than {most} bytes")
    return content


def _file(reference: sketch.Reference, most: int) -> bytes:
    with epath.Path(reference.path).open("rb") as file:
        return file.read(most + 1)


def _span(reference: sketch.Reference, most: int) -> bytes:
    if not 0 <= reference.length <= _MOST:
        raise ValueError(f"{reference.path}: a span of {reference.length} bytes")
    if reference.length > most:
        raise TooLargeError(f"{reference.path}: a span of {reference.length} bytes")
    with epath.Path(reference.path).open("rb") as file:
        file.seek(reference.offset)
        content = file.read(reference.length)
    if len(content) < reference.length:
        raise OSError(f"{reference.path} ends within the {reference.length} bytes from {reference.offset}")
    return content


def _warc(reference: sketch.Reference, most: int) -> bytes:
    with epath.Path(reference.path).open("rb") as file:
        file.seek(reference.offset)
        for record in ArchiveIterator(file, parse_http=True, auto_decode="all"):
            return record.reader.read(most + 1)
    raise OSError(f"{reference.path}: no record at {reference.offset}")


def _json_base64(reference: sketch.Reference, most: int) -> bytes:
    del most  # of the string alone; the object around it may be longer
    value = json.loads(_span(reference, _MOST))
    try:
        for step in reference.place.split("/"):
            value = value[int(step)] if isinstance(value, list) else value[step]
        # OpenFlamingo's converter of MMC4 once wrote the text of Python bytes: "b'/9j/...'".
        return base64.b64decode(value.removeprefix("b'").removesuffix("'"), validate=True)
    except (AttributeError, KeyError, IndexError, TypeError, ValueError) as error:
        raise ValueError(f"{reference.path}: no base64 at {reference.place} of the record: {error!r}") from None


def _parquet(reference: sketch.Reference, most: int) -> bytes:
    del most  # a cell is decoded with its row group
    return parquet_cells.read_cell(reference.path, reference.place)


_READERS = {
    sketch.FILE: _file,
    sketch.SPAN: _span,
    sketch.WARC: _warc,
    sketch.JSON_BASE64: _json_base64,
    parquet_cells.FORM: _parquet,
}
