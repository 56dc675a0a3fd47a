"""Files of strangers are known by their content; bombs are refused by their headers."""

import time
import tracemalloc

import pytest
from PIL import Image as Picture

from flamingo_jax.data.document import Image, Video
from flamingo_jax.serving.uploads import Limits, UploadError, check_upload, picture_pixels
from tests.data.samples import clip_bytes, picture_bytes
from tests.hostile_media import GALLERY, saved
from tests.patience import within

# The loader refuses as many pixels as a dataset says; a gallery's largest fine picture has 25 million.
FINE = [name for name, specimen in GALLERY.items() if specimen.loads]
BAD = [name for name, specimen in GALLERY.items() if not specimen.loads]


@pytest.mark.parametrize("name", [name for name in FINE if "thousand" not in name])
def test_what_the_loader_reads_is_taken(name):
    assert isinstance(check_upload("a", GALLERY[name].encoded, Limits(bytes=10**9)), Image)


@pytest.mark.parametrize("name", BAD)
def test_what_the_loader_refuses_is_refused_in_one_line(name):
    encoded = GALLERY[name].encoded
    with pytest.raises(UploadError) as refused:
        check_upload("cat.png", encoded, Limits(bytes=10**9))
    assert "\n" not in str(refused.value) and str(refused.value).startswith("cat.png") and len(str(refused.value)) < 400


def test_a_bomb_is_refused_before_it_is_decoded():
    encoded = GALLERY["PNG of 50,000 x 50,000"].encoded
    tracemalloc.start()
    with within(1, time.process_time), pytest.raises(UploadError, match=r"50000 x 50000|2500000000 pixels"):
        check_upload("bomb.png", encoded)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10_000_000


@pytest.mark.parametrize(
    "encoded, pixels",
    [
        (picture_bytes(size=(20, 30)), 600),
        (saved(Picture.new("L", (9000, 9000)), "PNG"), 81_000_000),
        (b"no picture", 0),
        (clip_bytes(1), 0),
        (b"", 0),
    ],
    ids=["a picture", "a large one", "a text", "a clip", "nothing"],
)
def test_pixels_are_read_from_headers(encoded, pixels):
    with within(1, time.process_time):
        assert picture_pixels(encoded) == pixels


def test_a_clip_is_known_by_its_content():
    found = check_upload("holiday.jpg", clip_bytes(1))
    assert found == Video(clip_bytes(1), "holiday.jpg")


def test_an_animation_of_many_frames_is_its_first():

    frames = [Picture.new("P", (64, 64), shade % 256) for shade in range(3000)]
    encoded = saved(frames[0], "GIF", save_all=True, append_images=frames[1:])
    with within(1, time.process_time):
        assert isinstance(check_upload("a.gif", encoded), Image)


@pytest.mark.parametrize(
    "name, encoded, reason",
    [
        ("cat.png", b"#!/bin/sh\nrm -rf /\n", "neither a picture"),
        ("cat.png", b"<svg xmlns='http://www.w3.org/2000/svg'/>", "neither a picture"),
        ("list.mp4", b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", "neither a picture"),
        ("list.mp4", b"ffconcat version 1.0\nfile /etc/passwd\n", "neither a picture"),
        ("", b"", "a file without a name is empty"),
        ("a\nb\x1b[31m" + "c" * 500, b"", "is empty"),
        ("cut.mp4", clip_bytes(2)[:800], "neither a picture|cannot be decoded"),
    ],
)
def test_what_is_neither_is_refused(name, encoded, reason):
    with pytest.raises(UploadError, match=reason) as refused:
        check_upload(name, encoded)
    assert str(refused.value).isprintable() and len(str(refused.value)) < 300


@pytest.mark.parametrize(
    "limits, encoded, reason",
    [
        (Limits(bytes=100), picture_bytes(size=(99, 99), fmt="BMP"), "at most 100"),
        (Limits(pixels=100), picture_bytes(size=(20, 20)), "20 x 20 pixels"),
        (Limits(frame_pixels=100), clip_bytes(1), "48 x 32 pixels"),
        (Limits(seconds=1), clip_bytes(3), "3 seconds"),
        (Limits(frames=10), clip_bytes(3), "more than 10 frames"),
    ],
)
def test_limits_are_kept(limits, encoded, reason):
    with pytest.raises(UploadError, match=reason):
        check_upload("a", encoded, limits)


@pytest.mark.parametrize("limit", ["bytes", "pixels", "seconds"])
def test_limits_out_of_range_are_refused(limit):
    with pytest.raises(ValueError, match=limit):
        Limits(**{limit: 0})
