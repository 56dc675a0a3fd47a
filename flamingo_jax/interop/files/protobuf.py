"""The fields of a protobuf message in a file, without its schema and without reading its large ones.

A message is a sequence of fields: a key (number and wire type) and a value. Values of unknown fields can be skipped,
so a reader that knows a few numbers reads a file of any version (protobuf.dev, "Encoding").
"""

from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_LONGEST_VARINT = 10  # bytes of 7 bits that a 64-bit number takes


class MessageError(ValueError):
    """The bytes are no protobuf message."""


class Span(NamedTuple):
    """A value that was left in the file: a string, a message or packed numbers.

    Attributes:
      start: its first byte in the file.
      length: in bytes.
    """

    start: int
    length: int


class Field(NamedTuple):
    """A field of a message.

    Attributes:
      number: by which the schema knows it.
      value: a number (unsigned, as its bits stand there), or the span of a value of any length.
    """

    number: int
    value: int | Span


class Messages:
    """A file of messages; not to be shared between threads."""

    def __init__(self, file: BinaryIO, size: int):
        """Takes over `file`, which is `size` bytes long and closed by the caller."""
        self._file, self._size = file, size

    @property
    def whole(self) -> Span:
        """The message that the file is."""
        return Span(0, self._size)

    def fields(self, message: Span) -> Iterator[Field]:
        """The fields of a message in their order; raises MessageError where one is damaged or ends past it."""
        place, end = message.start, message.start + message.length
        while place < end:
            key, place = self._varint(place, end)
            number, kind = key >> 3, key & 7
            if number == 0:
                raise MessageError(f"a field of number 0 before byte {place}")
            if kind == _VARINT:
                value, place = self._varint(place, end)
            elif kind in (_FIXED64, _FIXED32):
                width = 8 if kind == _FIXED64 else 4
                value, place = int.from_bytes(self._bytes(place, width, end), "little"), place + width
            elif kind == _BYTES:
                length, place = self._varint(place, end)
                if length > end - place:
                    raise MessageError(f"it ends within the field of {length} bytes that begins at byte {place}")
                value, place = Span(place, length), place + length
            else:
                raise MessageError(f"a value of unknown kind {kind} at byte {place}")
            yield Field(number, value)

    def text(self, span: Span) -> str:
        """A string."""
        try:
            return self.bytes(span).decode()
        except UnicodeDecodeError as error:
            raise MessageError(f"the string at byte {span.start} is no UTF-8") from error

    def bytes(self, span: Span) -> bytes:
        """A value as it stands in the file."""
        return self._bytes(span.start, span.length, self._size)

    def varints(self, span: Span) -> list[int]:
        """Packed numbers."""
        numbers, place, end = [], span.start, span.start + span.length
        while place < end:
            number, place = self._varint(place, end)
            numbers.append(number)
        return numbers

    def _varint(self, place: int, end: int) -> tuple[int, int]:
        """The number at `place`, and where it ends."""
        self._file.seek(place)
        data = self._file.read(min(_LONGEST_VARINT, end - place))
        number = 0
        for index, byte in enumerate(data):
            number |= (byte & 0x7F) << 7 * index
            if byte < 0x80:
                return number & 0xFFFF_FFFF_FFFF_FFFF, place + index + 1
        raise MessageError(f"no number at byte {place}")

    def _bytes(self, place: int, length: int, end: int) -> bytes:
        self._file.seek(place)
        data = self._file.read(length) if length <= end - place else b""
        if len(data) < length:
            raise MessageError(f"it ends within the value at byte {place}")
        return data
