"""Files of lines, plain or compressed, as streams of bytes: what the first bytes say decides, not the file's name.

Names mislead: a client that fetched `x.json.gz` may have uncompressed it on the way.
"""

import bz2
import contextlib
import gzip
import io
import lzma
import zipfile
from collections.abc import Iterator
from typing import BinaryIO

import pyarrow as pa
from etils import epath

from data_pipelines.containers import zip_salvage

_BUFFER = 1 << 16  # bytes
_ZSTD_STEP = 1 << 12  # bytes; as much may be lost before the place where a file is cut


def streams(path: str) -> Iterator[BinaryIO]:
    """The contents of a file, uncompressed: one stream, or one for each file in a zip archive. Each has `readline`.

    Reading may raise any of `damage.ERRORS`, after all that stands before the damage was given.

    Raises:
      OSError: the file cannot be opened.
    """
    with epath.Path(path).open("rb") as file:
        start = file.read(6)
        file.seek(0)
        if start.startswith(b"PK\x03\x04"):
            yield from _zipped(file)
            return
        with contextlib.closing(_uncompressed(file, start)) as stream:
            yield stream


def _uncompressed(file: BinaryIO, start: bytes) -> BinaryIO:
    if start.startswith(b"\x1f\x8b"):
        return gzip.open(file)
    if start.startswith(b"BZh"):
        return bz2.open(file)
    if start.startswith(b"\xfd7zXZ\0"):
        return lzma.open(file)
    if start.startswith(b"\x28\xb5\x2f\xfd"):
        return io.BufferedReader(_Zstd(file), _ZSTD_STEP)
    return file


def _zipped(file: BinaryIO) -> Iterator[BinaryIO]:
    try:
        archive = zipfile.ZipFile(file)
    except zipfile.BadZipFile:  # the table of contents stands at the end: it is what a cut archive lacks
        yield io.BufferedReader(zip_salvage.First(file), _BUFFER)
        raise
    with archive:
        found = [info for info in archive.infolist() if not _is_passed_over(info.filename)]
        if not found:
            raise zipfile.BadZipFile("there is no file in it")
        for info in found:
            try:
                stream = archive.open(info)
            except RuntimeError as error:  # a password is asked for
                raise zipfile.BadZipFile(str(error)) from None
            with stream:
                yield stream


def _is_passed_over(name: str) -> bool:
    """Folders, what macOS adds to archives, and other files whose names begin with a dot."""
    return name.endswith("/") or name.startswith("__MACOSX/") or name.rpartition("/")[2].startswith(".")


class _Zstd(io.RawIOBase):
    """Zstandard by pyarrow: the standard library has it from Python 3.14 on."""

    def __init__(self, file: BinaryIO):
        self._stream = pa.CompressedInputStream(file, "zstd")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        content = self._stream.read(min(len(buffer), _ZSTD_STEP))
        buffer[: len(content)] = content
        return len(content)
