import contextlib
import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Picture

from flamingo_jax.data.errors import MediaError
from flamingo_jax.data.images import Augmentation, Change, finish_image, load_image
from tests.data.samples import noise_bytes, picture_bytes

SAME = Change(False, 1.0, 1.0, 1.0)


def load(encoded, size=32, max_pixels=10**6):
    return np.asarray(load_image(encoded, size=size, max_pixels=max_pixels))


def saved(image, fmt, **options):
    buffer = io.BytesIO()
    image.save(buffer, fmt, **options)
    return buffer.getvalue()


def finish(image, size, change=None, pad_value=(9, 8, 7)):
    return finish_image(image, size=size, pad_value=pad_value, change=change)


@given(st.integers(1, 200), st.integers(1, 200), st.integers(1, 64))
@settings(max_examples=60)
def test_aspect_ratio_is_kept_and_the_rest_is_padding(width, height, size):
    image = load_image(picture_bytes((250, 0, 0), (width, height)), size=size, max_pixels=10**6)
    assert max(image.size) == size
    assert min(image.size) == max(1, round(min(width, height) * size / max(width, height)))
    square = finish(image, size)
    inside = (square == (250, 0, 0)).all(-1)
    assert square.shape == (size, size, 3) and square.dtype == np.uint8
    assert inside.sum() == image.width * image.height
    assert ((square == (9, 8, 7)).all(-1) | inside).all()
    rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
    assert abs(rows[0] - (size - 1 - rows[-1])) <= 1 and abs(columns[0] - (size - 1 - columns[-1])) <= 1


@pytest.mark.parametrize("fmt", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"])
def test_formats(fmt):
    assert np.abs(load(picture_bytes((200, 30, 60), (32, 32), fmt)).astype(int) - (200, 30, 60)).max() <= 4


@pytest.mark.parametrize(
    ("mode", "colour", "expected"),
    [
        ("L", 77, (77, 77, 77)),
        ("1", 1, (255, 255, 255)),
        ("LA", (77, 255), (77, 77, 77)),
        ("LA", (77, 0), (255, 255, 255)),
        ("RGBA", (10, 20, 30, 255), (10, 20, 30)),
        ("RGBA", (0, 0, 0, 0), (255, 255, 255)),
        ("RGBA", (0, 100, 0, 51), (204, 224, 204)),
        ("I;16", 77 << 8, (77, 77, 77)),
        ("CMYK", (0, 255, 255, 0), (255, 0, 0)),
    ],
)
def test_modes(mode, colour, expected):
    fmt = "TIFF" if mode == "CMYK" else "PNG"
    pixels = load(saved(Picture.new(mode, (32, 32), colour), fmt))
    assert np.abs(pixels.astype(int) - expected).max() <= 1


def test_cmyk_jpeg():
    pixels = load(saved(Picture.new("CMYK", (32, 32), (0, 255, 255, 0)), "JPEG", quality=95))
    assert np.abs(pixels.astype(int) - (255, 0, 0)).max() <= 12


def test_palette_with_a_transparent_entry():
    image = Picture.new("P", (32, 32), 1)
    image.putpalette([0, 0, 0, 50, 60, 70])
    image.paste(0, (0, 0, 16, 32))
    pixels = load(saved(image, "PNG", transparency=0))
    assert pixels[0, 2].tolist() == [255] * 3 and pixels[0, 29].tolist() == [50, 60, 70]


def test_animation_gives_its_first_frame():
    frames = [Picture.new("RGB", (32, 32), colour) for colour in ("red", "blue")]
    assert load(saved(frames[0], "GIF", save_all=True, append_images=frames[1:]))[5, 5].tolist() == [255, 0, 0]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(orientation):
    """The stored pixels are what a camera held that way writes; what is shown is always the same."""
    shown = np.zeros((16, 24, 3), np.uint8)
    shown[:8, :8], shown[:8, 16:], shown[8:, :8] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    # EXIF 2.32, 4.6.4: which visual side row 0 and column 0 of the stored pixels are.
    stored = {
        1: shown,
        2: shown[:, ::-1],
        3: shown[::-1, ::-1],
        4: shown[::-1],
        5: shown.transpose(1, 0, 2),
        6: np.rot90(shown, 1),
        7: shown[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(shown, -1),
    }[orientation]
    exif = Picture.Exif()
    exif[0x0112] = orientation
    pixels = load(saved(Picture.fromarray(np.ascontiguousarray(stored)), "PNG", exif=exif), size=24)
    assert (pixels == shown).all()


def test_large_jpeg_is_the_same_picture_at_any_decoding_scale():
    rng = np.random.default_rng(0)
    coarse = Picture.fromarray(rng.integers(0, 256, (8, 8, 3), np.uint8)).resize(
        (1024, 1024), Picture.Resampling.BICUBIC
    )
    pixels = load(saved(coarse, "JPEG", quality=95), size=64, max_pixels=10**7)
    expected = np.asarray(coarse.resize((64, 64), Picture.Resampling.BICUBIC))
    assert np.abs(pixels.astype(int) - expected).mean() < 3


def bomb():
    """A PNG of a few hundred bytes that claims 100,000 x 100,000 pixels."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"0" * 1000)) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    "encoded",
    [
        b"",
        b"not an image",
        noise_bytes(0)[:700],
        picture_bytes(fmt="PNG", size=(100, 100))[:-60],
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        saved(Picture.new("F", (8, 8)), "TIFF"),
        bomb(),
    ],
    ids=["empty", "text", "short jpeg", "short png", "eps", "float", "bomb"],
)
def test_undecodable_is_a_media_error(encoded):
    with pytest.raises(MediaError):
        load(encoded)


def test_pixel_limit_is_named():
    with pytest.raises(MediaError, match=r"40 x 30 pixels \(at most 1000 are decoded\)"):
        load(picture_bytes(size=(40, 30)), max_pixels=1000)


@given(st.binary(max_size=30), st.integers(0, 1500), st.sampled_from(["PNG", "JPEG", "GIF", "WEBP", "TIFF"]))
@settings(max_examples=150, deadline=None)
def test_damage_never_raises_anything_else(junk, place, fmt):
    encoded = bytearray(noise_bytes(3, (24, 24), fmt))
    encoded[place % len(encoded) : place % len(encoded) + len(junk)] = junk
    with contextlib.suppress(MediaError):
        assert max(load(bytes(encoded)).shape[:2]) == 32


def test_no_change_leaves_the_pixels():
    image = Picture.fromarray(np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8))
    assert (finish(image, 32, SAME) == np.asarray(image)).all()
    assert (finish(image, 32, Change(True, 1.0, 1.0, 1.0)) == np.asarray(image)[:, ::-1]).all()


@given(st.floats(0.5, 1.3), st.floats(0.5, 1.2), st.floats(0, 1.5))
def test_colour_change_is_brightness_then_contrast_then_saturation(brightness, contrast, saturation):
    """Against the three steps written out in float64; the range is such that no step clips."""
    pixels = np.random.default_rng(1).integers(90, 130, (16, 16, 3), np.uint8)
    got = finish(Picture.fromarray(pixels), 16, Change(False, brightness, contrast, saturation))
    luma = np.array([0.299, 0.587, 0.114])
    x = pixels * brightness
    x = contrast * x + (1 - contrast) * (x @ luma).mean()
    x = saturation * x + (1 - saturation) * (x @ luma)[..., None]
    assert np.abs(got - x).max() <= 1.01


def test_padding_is_not_recoloured():
    image = Picture.new("RGB", (32, 8), (100, 100, 100))
    square = finish(image, 32, Change(False, 0.5, 1.0, 1.0), pad_value=(127, 127, 127))
    assert square[0, 0].tolist() == [127] * 3 and square[16, 16].tolist() == [50] * 3


def test_draws_have_the_stated_ranges_and_rates():
    rng = np.random.default_rng(0)
    draws = [Augmentation(brightness=0.3, contrast=0.2, saturation=0.0).draw(rng) for _ in range(4000)]
    assert 0.46 < np.mean([draw.mirror for draw in draws]) < 0.54
    for name, strength in (("brightness", 0.3), ("contrast", 0.2)):
        values = [getattr(draw, name) for draw in draws]
        assert 1 - strength <= min(values) < 1 - 0.95 * strength and 1 + 0.95 * strength < max(values) <= 1 + strength
    assert {draw.saturation for draw in draws} == {1.0}


def test_switching_flips_off_leaves_the_colours_as_they_were():
    on, off = (Augmentation(flip=flip).draw(np.random.default_rng(5)) for flip in (True, False))
    assert not off.mirror
    assert (on.brightness, on.contrast, on.saturation) == (off.brightness, off.contrast, off.saturation)


def test_strength_outside_its_range_is_an_error():
    with pytest.raises(ValueError, match=r"Augmentation\.contrast must lie in \[0, 1\]"):
        Augmentation(contrast=1.5)
