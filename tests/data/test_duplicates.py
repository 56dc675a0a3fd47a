"""Copies of pictures are recognised, pictures alike in their outline are told apart."""

import functools
import io

import imagehash
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageEnhance, ImageOps

from flamingo_jax.data.duplicates import (
    CANDIDATES,
    COPIES,
    FingerprintIndex,
    Likeness,
    alike,
    distance,
    fingerprint,
    perceptual_hash,
    same_pixels,
)
from flamingo_jax.data.errors import MediaError


@functools.cache
def scene(seed, size=(240, 180)):
    """A picture with the spectrum of a photograph: coarse shapes strong, fine ones weak."""
    rng = np.random.default_rng(seed)
    pixels = np.zeros((size[1], size[0], 3))
    for cells in (2, 4, 8, 16, 32):
        coarse = Image.fromarray(rng.integers(0, 256, (cells, cells, 3), dtype=np.uint8))
        pixels += np.asarray(coarse.resize(size, Image.Resampling.BICUBIC), float) / cells
    return Image.fromarray((pixels * 255 / pixels.max()).astype(np.uint8))


def plot(seed):
    """Axes on white with a curve of its own."""
    image = Image.new("RGB", (320, 240), "white")
    draw = ImageDraw.Draw(image)
    draw.rectangle((40, 20, 300, 210), outline="black", width=2)
    rng = np.random.default_rng(seed)
    phase, frequency = rng.uniform(0, 6), rng.uniform(1, 4)
    x = np.arange(42, 298)
    y = 115 + 80 * np.sin(frequency * x / 40 + phase)
    draw.line(list(zip(x.tolist(), y.tolist(), strict=True)), fill="blue", width=4)
    return image


def encode(image, kind="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def print_of(image, kind="PNG", **options):
    return fingerprint(encode(image, kind, **options))


def scaled(image, x, y):
    return image.resize((round(image.width * x), round(image.height * y)), Image.Resampling.BICUBIC)


COPIED = {
    "half": lambda image: print_of(scaled(image, 0.5, 0.5)),
    "double": lambda image: print_of(scaled(image, 2, 2)),
    "stretched": lambda image: print_of(scaled(image, 1.3, 1)),
    "jpeg95": lambda image: print_of(image, "JPEG", quality=95),
    "jpeg30": lambda image: print_of(image, "JPEG", quality=30),
    "webp": lambda image: print_of(image, "WEBP", quality=60),
    "gif": lambda image: print_of(image.quantize(256), "GIF"),
    "darker": lambda image: print_of(ImageEnhance.Brightness(image).enhance(0.8)),
    "less contrast": lambda image: print_of(ImageEnhance.Contrast(image).enhance(0.7)),
    "saturated": lambda image: print_of(ImageEnhance.Color(image).enhance(1.4)),
    "grey": lambda image: print_of(image.convert("L")),
    "mirrored": lambda image: print_of(ImageOps.mirror(image), "JPEG", quality=60),
    "turned by EXIF": lambda image: print_of(image.transpose(Image.Transpose.ROTATE_90), "JPEG", exif=turned(6)),
}


@functools.cache
def original(seed):
    return print_of(scene(seed))


@functools.cache
def copied(change, seed):
    return COPIED[change](scene(seed))


def turned(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


@pytest.mark.parametrize("change", COPIED)
def test_copies_are_found(change):
    for seed in range(3):
        assert alike(original(seed), copied(change, seed))


@pytest.mark.parametrize("change", COPIED)
def test_copies_of_other_pictures_are_not(change):
    index = FingerprintIndex([original(seed) for seed in range(10, 30)])
    assert len(index.near([copied(change, seed) for seed in range(3)], CANDIDATES).index) == 0


def test_a_crop_is_a_candidate():
    cropped = print_of(scene(1).crop((4, 3, 236, 177)))
    assert alike(print_of(scene(1)), cropped, CANDIDATES)


def test_plots_are_told_apart_where_the_hash_cannot():
    prints = [print_of(plot(seed)) for seed in range(24)]
    pairs = [(one, other) for one in range(24) for other in range(one)]
    by_hash = [pair for pair in pairs if distance(prints[pair[0]], prints[pair[1]]) <= COPIES.max_distance]
    assert len(by_hash) >= 3
    assert not any(alike(prints[one], prints[other]) for one, other in by_hash)
    assert all(alike(one, print_of(scaled(plot(seed), 0.6, 0.6), "JPEG")) for seed, one in enumerate(prints))


def test_mirror_images_may_be_left_alone():
    one, mirrored = print_of(scene(4)), print_of(ImageOps.mirror(scene(4)))
    assert alike(one, mirrored) and alike(mirrored, one)
    assert not alike(one, mirrored, Likeness(mirrored=False))
    assert distance(one, mirrored) <= 2 < distance(one, mirrored, mirrored=False)


def test_flat_pictures_are_alike_as_files_alone():
    drawings = []
    for draw in (ImageDraw.ImageDraw.rectangle, ImageDraw.ImageDraw.ellipse):
        image = Image.new("L", (2000, 2000), 255)
        draw(ImageDraw.Draw(image), (150, 150, 174, 174), 0)
        drawings.append(print_of(image))
    assert 0 < np.std(np.frombuffer(drawings[0].thumbnail, np.uint8)) < 1
    assert distance(*drawings) <= COPIES.max_distance and not alike(*drawings)
    assert alike(drawings[0], drawings[0])
    found = FingerprintIndex(drawings).near(drawings)
    assert list(zip(found.query.tolist(), found.index.tolist(), strict=True)) == [(0, 0), (1, 1)]


def test_what_is_transparent_is_white():
    image = scene(5).convert("RGBA")
    alpha = Image.new("L", image.size, 255)
    alpha.paste(0, (0, 0, 120, 180))
    image.putalpha(alpha)
    on_white = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    assert alike(print_of(image), print_of(on_white, "JPEG", quality=90))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32))
def test_the_hash_is_that_of_imagehash(seed):
    image = scene(seed, (64, 48))
    assert f"{perceptual_hash(image):016x}" == str(imagehash.phash(image))
    grey = image.convert("L").resize((32, 32), Image.Resampling.LANCZOS)
    assert f"{perceptual_hash(ImageOps.mirror(grey)):016x}" == str(imagehash.phash(ImageOps.mirror(grey)))


def agree(one, other, likeness):
    """What the class says, worked out pair by pair with NumPy's correlation: the distance, or None."""
    found = []
    for bits, flip in (((one.hash ^ other.hash).bit_count(), 1), ((one.mirrored ^ other.hash).bit_count(), -1)):
        first, second = (np.frombuffer(it.thumbnail, np.uint8).reshape(16, 16).astype(float) for it in (one, other))
        first = first[:, ::flip]
        deviation = max(first.std(), second.std())
        difference = np.abs((first - first.mean()) / first.std() - (second - second.mean()) / second.std()).max()
        near = bits <= likeness.max_distance and (flip == 1 or likeness.mirrored)
        like = np.corrcoef(first.ravel(), second.ravel())[0, 1] >= likeness.min_correlation
        if near and ((like and difference * deviation <= likeness.max_difference) or one.digest == other.digest):
            found.append(bits)
    return min(found, default=None)


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(sorted(COPIED)), st.integers(0, 2)), min_size=2, max_size=8),
    st.sampled_from([COPIES, CANDIDATES, Likeness(30, -1.0, 400.0), Likeness(max_distance=30, mirrored=False)]),
)
def test_pairs_are_as_another_reckoning_has_them(chosen, likeness):
    prints = [copied(change, seed) for change, seed in chosen]
    found = FingerprintIndex(prints[1:]).near(prints[:2], likeness)
    expected = [
        (query, agree(one, other, likeness), index)
        for query, one in enumerate(prints[:2])
        for index, other in enumerate(prints[1:])
    ]
    expected = [(query, index, bits) for query, bits, index in sorted(pair for pair in expected if pair[1] is not None)]
    assert list(zip(*(column.tolist() for column in found), strict=True)) == expected
    assert alike(prints[0], prints[1], likeness) == ((0, 0) in {match[:2] for match in expected})


def test_the_same_pixels():
    image = scene(6)
    png, bmp, jpeg = encode(image), encode(image, "BMP"), encode(image, "JPEG")
    assert same_pixels(png, bmp) and not same_pixels(png, jpeg)
    assert not same_pixels(png, encode(scaled(image, 2, 2))) and not same_pixels(png, b"no image")


def test_what_is_no_image_is_an_error():
    with pytest.raises(MediaError):
        fingerprint(b"no image")
    with pytest.raises(MediaError, match="pixels"):
        fingerprint(encode(scene(1)), max_pixels=100)
