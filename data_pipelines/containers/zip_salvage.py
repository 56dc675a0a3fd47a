"""What can still be read of a zip archive that was cut short: its first file, up to where it ends."""

import io
import struct
import zlib
from typing import BinaryIO

_HEADER = struct.Struct("<4sHHHHHIIIHH")  # a local file header, as PKWARE's APPNOTE 4.3.7 has it
_MAGIC, _STORED, _DEFLATED, _ENCRYPTED = b"PK\x03\x04", 0, 8, 1
_CHUNK = 1 << 16  # bytes


class First(io.RawIOBase):
    """The first file in a zip archive, read without the archive's table of contents."""

    def __init__(self, archive: BinaryIO):
        """
        Raises:
          EOFError: the archive is cut within the first header.
          ValueError: the file is compressed in a way that zlib does not know, or encrypted.
        """
        position, name = 0, b"/"
        while name.endswith(b"/"):  # a folder, which has no content
            archive.seek(position)
            header = archive.read(_HEADER.size)
            if len(header) < _HEADER.size:
                raise EOFError("the archive is cut within its first header")
            magic, _, flags, method, _, _, _, size, _, name_length, extra_length = _HEADER.unpack(header)
            name = archive.read(name_length)
            position += _HEADER.size + name_length + extra_length
        if magic != _MAGIC or method not in (_STORED, _DEFLATED) or flags & _ENCRYPTED:
            raise ValueError(f"cut short, and compressed by method {method} or encrypted")
        archive.seek(position)
        self._archive = archive
        self._inflate = zlib.decompressobj(-zlib.MAX_WBITS) if method == _DEFLATED else None
        self._stored = size  # bytes of a file that is not compressed
        self._pending = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        """Fills the buffer.

        Raises:
          EOFError: the archive ends here, and the file does not.
          zlib.error: the content is damaged.
        """
        content = b""
        while not content and not self._is_at_end():
            content = self._more(len(buffer))
        buffer[: len(content)] = content
        return len(content)

    def _is_at_end(self) -> bool:
        return self._inflate.eof if self._inflate else self._stored == 0

    def _more(self, most: int) -> bytes:
        if self._inflate is None:
            content = self._archive.read(min(most, self._stored))
            self._stored -= len(content)
            if not content:
                raise EOFError("the archive is cut short")
            return content
        self._pending = self._pending or self._archive.read(_CHUNK)
        if not self._pending:
            raise EOFError("the archive is cut short")
        content = self._inflate.decompress(self._pending, most)
        self._pending = self._inflate.unconsumed_tail
        return content
