"""The image rules on real files of every kind: good, odd, broken and hostile."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from data_pipelines.image_rules import ImageRules, bad_bytes, bad_shape, reason

RULES = ImageRules()


def noise(width: int = 80, height: int = 70, mode: str = "RGB") -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels).convert(mode)


def encode(image: Image.Image, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def png_header(width: int, height: int) -> bytes:
    """A PNG that declares its size and has next to no pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\x00")) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    "encoded",
    [
        encode(noise(), "PNG"),
        encode(noise(), "JPEG"),
        encode(noise(), "JPEG", progressive=True),
        encode(noise(mode="CMYK"), "JPEG"),
        encode(noise(mode="L"), "JPEG"),
        encode(noise(mode="P"), "GIF"),
        encode(noise(), "GIF", save_all=True, append_images=[noise()]),
        encode(noise(), "WEBP"),
        encode(noise(), "BMP"),
        encode(noise(), "TIFF"),
        encode(noise(mode="RGBA"), "PNG"),
        encode(noise(mode="LA"), "PNG"),
        encode(noise(mode="1"), "PNG"),
        encode(noise(mode="P"), "PNG", transparency=3),
        encode(Image.fromarray(np.arange(80 * 70, dtype=np.uint16).reshape(70, 80) * 11), "PNG"),
        encode(noise(), "JPEG", exif=b"Exif\x00\x00broken"),
        encode(noise(64, 64), "PNG"),
        encode(noise(192, 64), "PNG"),
        encode(noise(64, 192), "PNG"),
    ],
)
def test_good_images_pass(encoded):
    assert reason(encoded, RULES) is None


@pytest.mark.parametrize(
    ("encoded", "rule"),
    [
        (b"", "image_empty"),
        (encode(noise(1, 1, "P"), "GIF"), "image_too_small"),
        (encode(noise(300, 63), "PNG"), "image_too_small"),
        (encode(noise(64, 193), "PNG"), "image_too_elongated"),
        (encode(noise(193, 64), "PNG"), "image_too_elongated"),
        (encode(Image.new("RGB", (80, 80), "teal"), "PNG"), "image_single_colour"),
        (encode(Image.new("RGB", (80, 80), "teal"), "JPEG"), "image_single_colour"),
        (encode(Image.new("I;16", (80, 80), 40_000), "PNG"), "image_single_colour"),
        (encode(Image.new("RGBA", (80, 80), (9, 9, 9, 0)), "PNG"), "image_single_colour"),
        (encode(Image.new("P", (80, 80), 3), "GIF"), "image_single_colour"),
        (encode(noise(), "PNG")[:2000], "image_undecodable"),
        (encode(noise(), "JPEG")[:1500], "image_undecodable"),
        (encode(noise(), "GIF")[:900], "image_undecodable"),
        (b"<html>404 Not Found</html>", "image_undecodable"),
        (b"\x89PNG\r\n\x1a\n", "image_undecodable"),
        (b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" width="90" height="90"/>', "image_vector"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 90 90\n", "image_undecodable"),
        (png_header(7_072, 7_072), "image_too_many_pixels"),
        (png_header(100_000, 90_000), "image_too_many_pixels"),
        (png_header(7_000, 7_000), "image_undecodable"),
    ],
)
def test_bad_images_fail_with_their_rule(encoded, rule):
    assert reason(encoded, RULES) == rule


def test_an_unseen_picture_behind_transparency_is_single_coloured():
    image = noise(mode="RGBA")
    image.putalpha(0)
    assert reason(encode(image, "PNG"), RULES) == "image_single_colour"


def test_limits_are_fields():
    encoded = encode(noise(), "PNG")
    assert reason(encoded, ImageRules(min_side=71)) == "image_too_small"
    assert reason(encoded, ImageRules(max_aspect=1.1)) == "image_too_elongated"
    assert reason(encoded, ImageRules(max_pixels=80 * 70 - 1)) == "image_too_many_pixels"
    assert reason(encoded, ImageRules(max_bytes=len(encoded) - 1)) == "image_too_many_bytes"
    assert reason(encoded, ImageRules(min_deviation=200.0)) == "image_single_colour"
    assert bad_bytes(1, RULES) is None
    assert bad_shape(64, 192, RULES) is None
