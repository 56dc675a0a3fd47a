"""Types told by first bytes; Pillow makes the images, and says which of its other formats are none of ours."""

import io

import numpy as np
import pytest
from PIL import Image

from data_pipelines.fetching import sniffing
from tests.data_pipelines.fetching.fetches import encoded

Image.init()


@pytest.mark.parametrize("kind", sniffing.IMAGE_TYPES)
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_images(kind, mode):
    if kind.upper() not in Image.SAVE:
        pytest.skip(f"this Pillow writes no {kind}")
    file = io.BytesIO()
    picture = Image.fromarray(np.arange(300, dtype=np.uint8).reshape(10, 10, 3)).convert(mode)
    picture.save(file, kind.upper())
    assert sniffing.image(file.getvalue()[: sniffing.NEEDED]) == kind


def test_animations():
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "green", "blue")]
    for kind in ("gif", "webp", "avif"):
        if kind.upper() in Image.SAVE_ALL:
            file = io.BytesIO()
            frames[0].save(file, kind.upper(), save_all=True, append_images=frames[1:])
            assert sniffing.image(file.getvalue()[: sniffing.NEEDED]) == kind


@pytest.mark.parametrize("form", ["PPM", "ICO", "PDF", "EPS", "TGA", "PCX", "SGI", "DDS", "JPEG2000", "ICNS"])
def test_other_images(form):
    file = io.BytesIO()
    Image.new("RGB", (32, 32), "red").save(file, form)
    assert sniffing.image(file.getvalue()[: sniffing.NEEDED]) is None


@pytest.mark.parametrize(
    "head",
    [b"", b"B", b"BM", b"BMX is a brand of bicycles", b"GIF", b"GIF88a", b"RIFF", b"RIFF\0\0\0\0WAVE", b"\xff\xd8",
     b"II", b"<svg>", b"%PDF", b"\0\0\0\x1cftypheic\0\0\0\0mif1heic", b"\0\0\0\x1cftypisom\0\0\0\0isommp42",
     b"\0\0\0\x08ftyp"],
)  # fmt: skip
def test_what_is_no_image(head):
    assert sniffing.image(head) is None


def test_brands_of_avif():
    assert sniffing.image(b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf") == "avif"
    assert sniffing.image(b"\0\0\0\x14ftypmif1\0\0\0\0mif1avif") is None  # the box ends before


@pytest.mark.parametrize(
    "head",
    [b"<!DOCTYPE html>", b"\xef\xbb\xbf\n <HTML lang=en>", b"<!-- a -->", b"<!--a", b"<head\n>", b"<p>x", b"<body>",
     "\ufeff<html>".encode("utf-16-le"), "\ufeff<html>".encode("utf-16-be")],
)  # fmt: skip
def test_pages(head):
    assert sniffing.page(head, "") == sniffing.page(head, "text/plain") == "html"
    assert sniffing.image(head) is None


@pytest.mark.parametrize("head", [b"Words.", b"{}", b"<?xml version='1.0'?><html>", b"<custom-tag>", b"<plist>"])
def test_what_only_its_server_calls_a_page(head):
    assert sniffing.page(head, "") is None
    assert sniffing.page(head, "Text/HTML; charset=x") == "html"
    assert sniffing.page(head, "application/xhtml+xml") == "html"


@pytest.mark.parametrize("head", [encoded("PNG"), encoded("JPEG"), b"\0\1\2", b"%PDF-1.4 \0"])
def test_what_nobody_takes_for_a_page(head):
    assert sniffing.page(head, "text/html") is None
