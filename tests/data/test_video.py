import contextlib
import io
import math
import struct

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flamingo_jax.data.dataset_config import DatasetConfig
from flamingo_jax.data.document import Document, Text, Video
from flamingo_jax.data.errors import MediaError
from flamingo_jax.data.media import load_media
from flamingo_jax.data.video import load_clip
from tests.data.samples import clip_bytes, encode_clip, grey_of_second, picture_bytes


class Fixed:
    """A generator that draws one number."""

    def __init__(self, unit):
        self.unit = unit

    def random(self):
        return self.unit


def seconds_shown(frames):
    """Which second of the test clip each frame is from, by its shade."""
    shades = np.array([np.asarray(frame).mean() for frame in frames])
    seconds = np.round((shades - grey_of_second(0)) / 25).astype(int)
    assert np.abs(shades - grey_of_second(seconds)).max() < 4
    return seconds.tolist()


def load(encoded, *, num_frames=8, frame_rate=1.0, rng=None, size=24, max_pixels=10**6, span=None):
    options = {"num_frames": num_frames, "frame_rate": frame_rate, "size": size, "max_pixels": max_pixels}
    return load_clip(encoded, rng=rng, span=span, **options)


def test_evaluation_starts_at_zero(ten_seconds):
    frames = load(ten_seconds)
    assert seconds_shown(frames) == list(range(8))
    assert frames[0].mode == "RGB" and frames[0].size == (24, 16)


@pytest.mark.parametrize("key_every", [1, 10, 1000])
@given(
    unit=st.floats(0, 1, exclude_max=True), rate=st.sampled_from([0.5, 1.0, 2.0, 3.0]), num_frames=st.integers(1, 12)
)
@settings(max_examples=25, deadline=None)
def test_frames_are_those_of_their_times(key_every, unit, rate, num_frames):
    """Against arithmetic; with key frames everywhere, every second, and at the start only (so that seeking fails)."""
    frames = load(_clip(key_every), num_frames=num_frames, frame_rate=rate, rng=Fixed(unit))
    start = unit * max(0, 10 - (num_frames - 1) / rate)
    times = [start + k / rate for k in range(num_frames) if start + k / rate < 10]
    shown = seconds_shown(frames)
    assert len(shown) == len(times)
    for second, time in zip(shown, times, strict=True):
        near = {int(time - 1e-3), min(9, int(time + 1e-3))}  # at the very change of a second either is right
        assert second in near


_clips = {}


def _clip(key_every, make=clip_bytes):
    if (make, key_every) not in _clips:
        _clips[make, key_every] = make(10, rate=10, key_every=key_every)
    return _clips[make, key_every]


def test_random_starts_reach_all_of_the_clip(ten_seconds):
    rng = np.random.default_rng(0)
    first = [seconds_shown(load(ten_seconds, num_frames=3, rng=rng))[0] for _ in range(60)]
    assert set(first) == set(range(8))


def test_short_clip_gives_what_it_has():
    assert seconds_shown(load(clip_bytes(3))) == [0, 1, 2]
    assert seconds_shown(load(clip_bytes(3), rng=Fixed(0.9))) == [0, 1, 2]
    assert seconds_shown(load(clip_bytes(0.1))) == [0]


def test_frame_rate_above_the_clips_own_shows_frames_twice():
    assert seconds_shown(load(clip_bytes(2, rate=1), frame_rate=2.0)) == [0, 0, 1, 1]


def by_hand(encoded, times):
    """The frames that a player shows at these times, from decoding the whole clip."""
    with av.open(io.BytesIO(encoded)) as container:
        decoded = [(float(frame.time), frame.to_image()) for frame in container.decode(video=0)]
    return [next(image for time, image in reversed(decoded) if time <= wanted + 5e-4) for wanted in times]


def noisy_clip(seconds, rate, key_every):
    """A clip of which no two frames are alike."""
    rng = np.random.default_rng(5)
    frames = np.repeat(np.repeat(rng.integers(0, 256, (seconds * rate, 4, 6, 3), np.uint8), 8, 1), 8, 2)
    return encode_clip(list(frames), rate, key_every)


@pytest.mark.parametrize("key_every", [1, 12, 1000])
@given(
    first=st.integers(0, 95), length=st.integers(1, 60), rate=st.sampled_from([0.5, 1.0, 4.0]), unit=st.floats(0, 0.999)
)
@settings(max_examples=8, deadline=None)
def test_frames_of_a_span_are_those_decoded_by_hand(key_every, first, length, rate, unit):
    """In tenths of a second; the span may end after the clip of ten seconds does."""
    encoded = _clip(key_every, noisy_clip)
    span, most = (first / 10 + 0.05, (first + length) / 10 + 0.05), 6
    for rng in None, Fixed(unit):
        room = max(0, min(span[1], 10) - (most - 1) / rate - span[0])
        start = span[0] + (0 if rng is None else unit * room)
        times = [start + k / rate for k in range(most) if k == 0 or start + k / rate < min(span[1] - 5e-4, 10)]
        frames = load(encoded, num_frames=most, frame_rate=rate, rng=rng, span=span, size=48)
        clear = [min(time % 0.1, 0.1 - time % 0.1) > 1e-3 for time in times]  # not at the very change of a frame
        assert len(frames) == len(times)
        for frame, expected, sure in zip(frames, by_hand(encoded, times), clear, strict=True):
            assert not sure or np.array_equal(np.asarray(frame), np.asarray(expected))


def test_the_end_of_a_span_is_not_shown(ten_seconds):
    assert seconds_shown(load(ten_seconds, span=(3.0, 6.0))) == [3, 4, 5]
    assert seconds_shown(load(ten_seconds, span=(3.0, 6.01))) == [3, 4, 5, 6]
    assert seconds_shown(load(ten_seconds, span=(6.5, 6.7))) == [6]


def test_random_starts_stay_in_the_span(ten_seconds):
    rng = np.random.default_rng(0)
    shown = [seconds_shown(load(ten_seconds, num_frames=3, rng=rng, span=(2.0, 8.0))) for _ in range(80)]
    assert {frames[0] for frames in shown} == {2, 3, 4, 5} and all(len(frames) == 3 for frames in shown)
    assert max(frames[-1] for frames in shown) == 7


def test_a_span_after_the_last_frame_shows_that_frame(ten_seconds):
    assert seconds_shown(load(ten_seconds, span=(12.0, 15.0))) == [9]


@pytest.mark.parametrize("span", [(3.0, 3.0), (4.0, 2.0), (-1.0, 2.0), (math.nan, 2.0), (1.0, math.nan)])
def test_a_span_that_is_none_is_a_media_error(ten_seconds, span):
    with pytest.raises(MediaError, match="from second"):
        load(ten_seconds, span=span)


def test_media_of_an_example_show_the_span(ten_seconds):
    config = DatasetConfig(path="", batch_size=1, image_size=24, num_frames=4)
    media = [Video(ten_seconds, "all"), Video(ten_seconds, "part", (5.0, 7.0))]
    block, mask = load_media(media, 2, config, None)
    shades = block[:, :, 8:16].mean((2, 3, 4))
    assert np.abs(shades - grey_of_second(np.array([[0, 1, 2, 3], [5, 6, 6, 6]]))).max() < 4
    assert mask.tolist() == [[True] * 4, [True, True, False, False]]


def test_records_refuse_a_span(ten_seconds):
    document = Document("page", (Video(ten_seconds, "a.mp4", (1.0, 2.0)), Text("a caption")))
    with pytest.raises(ValueError, match=r"'page'.*'a.mp4'.*span"):
        document.to_record()


def test_rotation_of_the_container_is_applied():
    """A display matrix that turns by 90 degrees clockwise, as phones held upright write it (ISO 14496-12, tkhd)."""
    lying = np.zeros((32, 48, 3), np.uint8)
    lying[:, 24:] = 255
    encoded = encode_clip([lying] * 3, rate=1)
    place = encoded.index(b"tkhd") + 4 + 40
    matrix = struct.pack(">9i", 0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30)
    turned = encoded[:place] + matrix + encoded[place + 36 :]
    assert load(encoded)[0].size == (24, 16)
    shown = np.asarray(load(turned)[0]).mean(-1)
    assert shown.shape == (24, 16)
    assert shown[:10].max() < 30 and shown[14:].min() > 225  # what was left is on top


def test_pixel_limit_is_named(ten_seconds):
    with pytest.raises(MediaError, match="48 x 32 pixels"):
        load(ten_seconds, max_pixels=1000)


@pytest.mark.parametrize("cut", [0, 10, 500, -100])
def test_truncated_is_a_media_error(ten_seconds, cut):
    with pytest.raises(MediaError):
        load(ten_seconds[:cut])


def test_not_a_video_is_a_media_error():
    with pytest.raises(MediaError):
        load(b"<html>404</html>" * 50)


def test_a_still_counts_as_a_clip_of_one_frame():
    assert len(load(picture_bytes())) == 1


@given(st.binary(min_size=1, max_size=60), st.integers(0, 10_000))
@settings(max_examples=60, deadline=None)
def test_damage_never_raises_anything_else(ten_seconds, junk, place):
    encoded = bytearray(ten_seconds)
    encoded[place % len(encoded) : place % len(encoded) + len(junk)] = junk
    with contextlib.suppress(MediaError):
        assert 1 <= len(load(bytes(encoded))) <= 8


def test_a_frame_of_a_claimed_half_gigabyte_is_damage(ten_seconds):
    """FFmpeg calls it a lack of memory, before it has taken any."""
    encoded = bytearray(ten_seconds)
    sizes = encoded.index(b"stsz") + 16  # after the name, version, common size and count (ISO 14496-12)
    encoded[sizes + 4 * 61 : sizes + 4 * 62] = (1 << 29).to_bytes(4, "big")
    with pytest.raises(MediaError):
        load(bytes(encoded))


@pytest.mark.parametrize("text", ["ffconcat version 1.0\nfile '{}'\n", "#EXTM3U\n#EXTINF:2,\n{}\n#EXT-X-ENDLIST\n"])
def test_a_clip_cannot_name_other_files(tmp_path, text):
    (tmp_path / "other.mp4").write_bytes(clip_bytes(2))
    with pytest.raises(MediaError):
        load(text.format(tmp_path / "other.mp4").encode())
