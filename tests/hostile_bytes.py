"""Image files byte by byte: what no encoder would write, and bombs made in little memory."""

import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence

_ROW_OF_ZEROS = 1 << 16


def png_chunk(kind: bytes, data: bytes, checksum: int | None = None) -> bytes:
    """A chunk of a PNG file; with a wrong checksum if one is given."""
    checksum = zlib.crc32(kind + data) if checksum is None else checksum
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)


def png(
    size: tuple[int, int],
    depth: int,
    colour_type: int,
    rows: Iterable[bytes],
    *,
    before: Sequence[bytes] = (),
    after: Sequence[bytes] = (),
) -> bytes:
    """A PNG file, compressed row by row.

    Args:
      size: what its header says (width, height); the rows may be fewer or more.
      depth, colour_type: bits a sample; 0 grey, 2 RGB, 3 palette, 4 grey with alpha, 6 RGBA.
      rows: without their filter bytes.
      before, after: chunks before and after the pixels.
    """
    squeeze = zlib.compressobj(1)
    pixels = b"".join([squeeze.compress(b"\x00" + row) for row in rows] + [squeeze.flush()])
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", *size, depth, colour_type, 0, 0, 0))
    body = [*before, png_chunk(b"IDAT", pixels), *after, png_chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(body)


def deflated_zeros(length: int) -> bytes:
    """`length` zero bytes as a zlib stream."""
    squeeze = zlib.compressobj(1)
    block = bytes(_ROW_OF_ZEROS)
    parts = [squeeze.compress(block) for _ in range(length // _ROW_OF_ZEROS)]
    return b"".join([*parts, squeeze.compress(bytes(length % _ROW_OF_ZEROS)), squeeze.flush()])


def jpeg_segments(encoded: bytes) -> Iterator[tuple[int, int, int]]:
    """(marker, start, end) of the segments of a JPEG file up to its first scan; `start` is that of the 0xFF."""
    at = 2
    while True:
        marker, length = encoded[at + 1], int.from_bytes(encoded[at + 2 : at + 4], "big")
        yield marker, at, at + 2 + length
        if marker == 0xDA:
            return
        at += 2 + length


def without_segment(encoded: bytes, unwanted: int) -> bytes:
    """A JPEG file without the segments of one marker."""
    for marker, start, end in [*jpeg_segments(encoded)][::-1]:
        if marker == unwanted:
            encoded = encoded[:start] + encoded[end:]
    return encoded


def with_segment(encoded: bytes, marker: int, data: bytes) -> bytes:
    """A JPEG file with one more segment at its beginning."""
    return encoded[:2] + b"\xff" + bytes([marker]) + struct.pack(">H", len(data) + 2) + data + encoded[2:]


def with_jpeg_size(encoded: bytes, width: int, height: int) -> bytes:
    """A JPEG file whose frame header tells another size."""
    start = next(start for marker, start, _ in jpeg_segments(encoded) if marker in (0xC0, 0xC1, 0xC2))
    return encoded[: start + 5] + struct.pack(">HH", height, width) + encoded[start + 9 :]


def with_adobe_transform(encoded: bytes, transform: int) -> bytes:
    """A JPEG file whose Adobe segment tells another colour transform: 0 none (CMYK), 2 YCCK."""
    start = next(start for marker, start, _ in jpeg_segments(encoded) if marker == 0xEE)
    assert encoded[start + 4 : start + 9] == b"Adobe"
    return encoded[: start + 15] + bytes([transform]) + encoded[start + 16 :]


def tiff(
    size: tuple[int, int],
    bits: Sequence[int],
    photometric: int,
    data: bytes,
    *,
    order: str = "<",
    sample_format: int = 1,
    more: Sequence[tuple[int, int]] = (),
    next_page: int = 0,
) -> bytes:
    """An uncompressed TIFF file of one page and one strip (TIFF 6.0).

    Args:
      size: what its directory says (width, height).
      bits: of each sample of a pixel.
      photometric: 0 white is zero, 1 black is zero, 2 RGB, 5 CMYK.
      data: the pixels.
      order: "<" for a file of Intel's byte order, ">" for Motorola's.
      sample_format: 1 unsigned, 2 signed, 3 float.
      more: (tag, value) of further short entries, such as (274, 6), an orientation.
      next_page: where the next directory is; 8 is this one.
    """
    entries = [(256, 4, [size[0]]), (257, 4, [size[1]]), (258, 3, bits), (259, 3, [1]), (262, 3, [photometric])]
    entries += [(273, 4, [0]), (277, 3, [len(bits)]), (278, 4, [size[1]]), (279, 4, [len(data)])]
    entries = sorted(entries + [(339, 3, [sample_format] * len(bits))] + [(tag, 3, [value]) for tag, value in more])
    extra_at = 8 + 2 + 12 * len(entries) + 4
    pixels_at = extra_at + sum(2 * len(values) for _, _, values in entries if len(values) > 2)
    directory, extra = struct.pack(order + "H", len(entries)), b""
    for tag, kind, values in entries:
        values = [pixels_at] if tag == 273 else values
        packed = struct.pack(f"{order}{len(values)}{'HI'[kind == 4]}", *values)
        if len(packed) > 4:
            packed, extra = struct.pack(order + "I", extra_at + len(extra)), extra + packed
        directory += struct.pack(order + "HHI", tag, kind, len(values)) + packed.ljust(4, b"\x00")
    start = (b"II*\x00" if order == "<" else b"MM\x00*") + struct.pack(order + "I", 8)
    return start + directory + struct.pack(order + "I", next_page) + extra + data


def with_gif_screen(encoded: bytes, width: int, height: int) -> bytes:
    """A GIF file whose screen has another size; its frames stay as they are."""
    return encoded[:6] + struct.pack("<HH", width, height) + encoded[10:]


def with_webp_canvas(encoded: bytes, width: int, height: int) -> bytes:
    """An extended WebP file whose canvas has another size; its frames stay as they are."""
    assert encoded[12:16] == b"VP8X"
    return encoded[:24] + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little") + encoded[30:]


def with_bmp_size(encoded: bytes, width: int, height: int) -> bytes:
    """A BMP file whose header tells another size."""
    return encoded[:18] + struct.pack("<ii", width, height) + encoded[26:]


def with_avif_size(encoded: bytes, width: int, height: int) -> bytes:
    """An AVIF file whose image spatial extents (`ispe`) are others."""
    at = encoded.index(b"ispe") + 8
    return encoded[:at] + struct.pack(">II", width, height) + encoded[at + 8 :]


def with_ycck_numbers(encoded: bytes) -> bytes:
    """A JPEG file of four channels whose channels are numbered 1 to 4, as those of YCCK are, not "CMYK"."""
    for marker, start, _ in jpeg_segments(encoded):
        first, step = (start + 10, 3) if marker in (0xC0, 0xC1, 0xC2) else (start + 5, 2)
        if marker in (0xC0, 0xC1, 0xC2, 0xDA):
            for channel in range(4):
                at = first + channel * step
                encoded = encoded[:at] + bytes([channel + 1]) + encoded[at + 1 :]
    return encoded


def _directory(*entries: bytes, count: int | None = None) -> bytes:
    """A TIFF directory as EXIF blocks are, little-endian; `count` is how many entries it says it has."""
    count = len(entries) if count is None else count
    return b"II*\0" + struct.pack("<IH", 8, count) + b"".join(entries) + bytes(4)


# EXIF blocks without their "Exif\0\0", each by what is wrong with it.
BROKEN_EXIF = {
    "EXIF that is junk": b"junkjunk",
    "EXIF that ends early": b"MM\0*",
    "EXIF far behind its end": b"II*\0\xff\xff\xff\x7f",
    "EXIF that holds itself": _directory(struct.pack("<HHII", 0x8769, 4, 1, 8)),
    "EXIF of a thousand entries that are not there": _directory(struct.pack("<HHII", 0x010F, 2, 400, 9999), count=1000),
    "EXIF with an entry of 4 GB": _directory(struct.pack("<HHII", 0x010F, 2, 0xFFFFFFF0, 26)),
    "an orientation in words": _directory(struct.pack("<HHI4s", 274, 2, 4, b"six\0")),
    "an orientation that is none": _directory(struct.pack("<HHII", 274, 3, 1, 9)),
}
# It would leave a file behind if an interpreter ever ran it.
EPS = b"""%!PS-Adobe-3.0 EPSF-3.0
%%BoundingBox: 0 0 90 90
%%EndComments
0 0 1 setrgbcolor 0 0 90 90 rectfill (ran) (w) file closefile showpage
%%EOF
"""
