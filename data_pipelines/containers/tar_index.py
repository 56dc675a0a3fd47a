"""Where the members of an uncompressed tar are, so that each can be read by itself.

The standard library's `tarfile` is not used: it takes a damaged header for the end of the archive without a word, which
would lose the rest of a shard unseen, and some of its releases can be made to loop for ever by a crafted one. Nothing
is ever written to disk, so a member may be called `../../etc/passwd`: its name is only a name.
"""

import dataclasses
from collections.abc import Iterator
from typing import BinaryIO

from data_pipelines.containers import tar_headers
from data_pipelines.containers.damage import Damaged
from data_pipelines.containers.tar_headers import BLOCK

_MAX_EXTENSION = 1 << 20  # bytes of a long name or of pax records; Linux limits a path to 4,096
_COMPRESSIONS = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"\x28\xb5\x2f\xfd": "zstd"}


@dataclasses.dataclass(frozen=True, slots=True)
class Member:
    """A member of a tar.

    Attributes:
      name: as it stands in the tar.
      offset, length: of its content, in bytes.
      rule: "" if the content is in one piece there, else why not: `member_not_a_file` (a link, a device, a pipe) or
        `member_sparse` (holes are left out of the stored content).
    """

    name: str
    offset: int
    length: int
    rule: str = ""


@dataclasses.dataclass(slots=True)
class _Extension:
    """What headers before a member's own say about it."""

    name: str = ""
    size: int | None = None
    sparse: bool = False


def members(file: BinaryIO) -> Iterator[Member]:
    """The members in their order, folders left out. Between two of them the caller may move the file's position.

    Raises:
      Damaged: the tar ends too early (`shard_truncated`), has something else than a header where one belongs
        (`shard_damaged`), is compressed (`shard_compressed`), or goes on after its end, as joined tars do
        (`shard_goes_on_after_its_end`). All members before were given.
    """
    end, position, extension = file.seek(0, 2), 0, _Extension()
    _check_uncompressed(file)
    while True:
        where = f"at byte {position:,} of {end:,}"
        block = _read(file, position, BLOCK, end, where)
        if not any(block):
            _check_rest(file, position)
            return
        header = tar_headers.parse(block, where)
        position += BLOCK
        if header.kind in tar_headers.EXTENSIONS:
            _extend(extension, header, file, position, end, where)
            position += _padded(header.size)
            continue
        while header.extended:  # the map of a sparse member goes on in blocks of its own
            block = _read(file, position, BLOCK, end, where)
            header = dataclasses.replace(header, extended=block[504] != 0)
            position += BLOCK
        member = _member(header, extension, position)
        extension = _Extension()
        if position + member.length > end:
            raise Damaged("shard_truncated", f"{where}: {member.name} is cut short")
        position += _padded(member.length)
        if not header.is_folder:
            yield member


def _member(header: tar_headers.Header, extension: _Extension, offset: int) -> Member:
    is_file = header.kind in tar_headers.FILES
    length = extension.size if extension.size is not None and is_file else header.size
    if header.kind == tar_headers.SPARSE or extension.sparse:
        rule = "member_sparse"
    else:
        rule = "" if is_file else "member_not_a_file"
    return Member(extension.name or header.name, offset, length, rule)


def _extend(
    extension: _Extension, header: tar_headers.Header, file: BinaryIO, position: int, end: int, where: str
) -> None:
    if header.size > _MAX_EXTENSION:
        raise Damaged("shard_damaged", f"{where}: a name or pax header of {header.size:,} bytes")
    content = _read(file, position, header.size, end, where)
    if header.kind == tar_headers.LONG_NAME:
        extension.name = tar_headers.text(content)
    elif header.kind in (tar_headers.PAX, tar_headers.PAX_SOLARIS):
        records = tar_headers.pax_records(content, where)
        if name := records.get("GNU.sparse.name") or records.get("path"):
            extension.name = tar_headers.text(name)
        if (size := records.get("size", b"")).isdigit() and len(size) < 20:
            extension.size = int(size)
        extension.sparse |= any(keyword.startswith("GNU.sparse.") for keyword in records)


def _read(file: BinaryIO, position: int, size: int, end: int, where: str) -> bytes:
    if position + size > end:
        what = "it has no end mark, and may have been cut between two members" if position >= end else "it is cut short"
        raise Damaged("shard_truncated", f"{where}: {what}")
    file.seek(position)
    content = file.read(size)
    if len(content) < size:
        raise Damaged("shard_truncated", f"{where}: the file shrank while it was read")
    return content


def _check_uncompressed(file: BinaryIO) -> None:
    file.seek(0)
    start = file.read(max(map(len, _COMPRESSIONS)))
    for magic, name in _COMPRESSIONS.items():
        if start.startswith(magic):
            raise Damaged(
                "shard_compressed", f"compressed with {name}: uncompress the tar, so that members can be read"
            )


def _check_rest(file: BinaryIO, position: int) -> None:
    file.seek(position)
    while chunk := file.read(1 << 20):
        if any(chunk):
            raise Damaged(
                "shard_goes_on_after_its_end", f"after the end mark at byte {position:,}: joined tars must be parted"
            )


def _padded(size: int) -> int:
    return -(-size // BLOCK) * BLOCK
