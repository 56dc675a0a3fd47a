"""The 512-byte headers of tar archives (POSIX.1-1988 ustar, POSIX.1-2001 pax, GNU, and the older v7)."""

import dataclasses
import re

from data_pipelines.containers.damage import Damaged

BLOCK = 512  # bytes; everything in a tar begins at a multiple of it
LONG_NAME, LONG_LINK, PAX, PAX_SOLARIS, PAX_GLOBAL = b"L", b"K", b"x", b"X", b"g"
EXTENSIONS = (LONG_NAME, LONG_LINK, PAX, PAX_SOLARIS, PAX_GLOBAL)
FILES = (b"0", b"\0", b"7")
SPARSE = b"S"
FOLDER = b"5"
_WITHOUT_CONTENT = tuple(
    b"%d" % kind for kind in range(1, 7)
)  # links, devices, folders and pipes, whatever size they say
_OCTAL = re.compile(rb" *([0-7]*)(?:[ \0].*)?", re.DOTALL)


@dataclasses.dataclass(frozen=True, slots=True)
class Header:
    """What a header says.

    Attributes:
      name: of the member; bytes that are not UTF-8 are spelled as escapes.
      kind: the type flag, one byte.
      size: bytes of content that follow, before padding.
      extended: whether a header of a sparse member goes on in the next block.
    """

    name: str
    kind: bytes
    size: int
    extended: bool = False

    @property
    def is_folder(self) -> bool:
        """Old archives mark a folder by a slash alone."""
        return self.kind == FOLDER or (self.kind == b"\0" and self.name.endswith("/"))


def parse(block: bytes, where: str) -> Header:
    """The header in a block of 512 bytes.

    Raises:
      Damaged: the checksum is wrong, or the size is none; `where` goes into the message.
    """
    total = 256 + sum(block[:148]) + sum(block[156:])  # the checksum is taken with its own field as eight spaces
    expected = _number(block[148:156])
    if expected != total and expected != total - 256 * sum(byte > 127 for byte in block[:148] + block[156:]):
        raise Damaged("shard_damaged", f"{where}: no header of a tar member")
    size, kind, name = _number(block[124:136]), block[156:157], text(block[:100])
    if size is None:
        raise Damaged("shard_damaged", f"{where}: a member of impossible size")
    if block[257:263] == b"ustar\0" and (prefix := text(block[345:500])):
        name = f"{prefix}/{name}"
    return Header(name, kind, 0 if kind in _WITHOUT_CONTENT else size, kind == SPARSE and block[482] != 0)


def text(field: bytes) -> str:
    """A name: what stands before the first NUL."""
    return field.partition(b"\0")[0].decode("utf-8", errors="backslashreplace")


def pax_records(content: bytes, where: str) -> dict[str, bytes]:
    """The records `<length> <keyword>=<value>` of a pax header.

    Raises:
      Damaged: they are none.
    """
    records, position = {}, 0
    while position < len(content) and content[position]:
        length, _, rest = content[position : position + 24].partition(b" ")
        end = position + int(length) if length.isdigit() and rest else 0
        keyword, equals, value = content[position + len(length) + 1 : end].partition(b"=")
        if not (equals and value.endswith(b"\n") and end <= len(content)):
            raise Damaged("shard_damaged", f"{where}: no records of a pax header")
        records[keyword.decode("utf-8", errors="replace")] = value[:-1]
        position = end
    return records


def _number(field: bytes) -> int | None:
    """Octal digits, or in GNU's way binary after a byte 0x80; None for what is neither or is negative."""
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    match = _OCTAL.fullmatch(field)
    return int(match[1] or b"0", 8) if match else None
