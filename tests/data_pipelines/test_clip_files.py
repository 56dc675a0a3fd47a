"""Clips become small files of one kind, whatever they were; what is no clip is named by a rule."""

import dataclasses
import io
import tarfile

import av
import numpy as np
import pytest
from PIL import Image

from data_pipelines.clips import clip_files
from data_pipelines.clips.clip_files import CLIP, ClipRules, encode
from data_pipelines.image_rules import ImageRules
from data_pipelines.pipeline.sketch import SPAN, Reference
from flamingo_jax.data.video import load_clip
from tests.data_pipelines.video_samples import LEVELS, RATE, decode, level, turn, write_sound, write_video

RULES = ClipRules()
# A container with its codec and frames a second, and how exact its clock is (seconds, frames). AVI says when a frame
# is decoded, not when it is shown, and an MPEG program stream times only some of its frames.
KINDS = {
    "v.mov": ("libx264", 10, 0.001, 0),
    "v.mkv": ("libx264", 10, 0.001, 0),
    "v.webm": ("libvpx", 10, 0.001, 0),
    "v.ts": ("libx264", 10, 0.001, 0),
    "v.flv": ("flv1", 10, 0.001, 0),
    "v.wmv": ("wmv2", 10, 0.001, 0),
    "v.mpg": ("mpeg2video", 25, 0.021, 1),
    "v.avi": ("mpeg4", 10, 0.001, 1),
    "of_h264.avi": ("libx264", 10, 0.001, 2),
}


def clip(path, start, end):
    return Reference(str(path), CLIP, place=clip_files.place(start, end))


@pytest.mark.parametrize("name", KINDS)
def test_every_container_is_cut_where_it_should_be(tmp_path, name):
    """Also those without a seek to the frame (MPEG-TS) and without times (AVI)."""
    codec, rate, seconds, off = KINDS[name]
    write_video(tmp_path / name, codec=codec, rate=rate, seconds=5)
    encoded = encode(clip(tmp_path / name, 3, 4), RULES)
    times, frames = decode(encoded)
    assert len(frames) == rate
    np.testing.assert_allclose(times, np.arange(rate) / rate, atol=seconds)
    assert abs(level(frames[0]) - 3 * rate % LEVELS) <= off
    whole = decode(encode(Reference(str(tmp_path / name)), RULES))[1]
    assert len(whole) == 5 * rate and level(whole[0]) <= 1


def frames_of(path):
    """The encoded frames of a file, each as bytes."""
    with av.open(str(path) if not isinstance(path, bytes) else io.BytesIO(path)) as container:
        return [bytes(packet) for packet in container.demux(video=0) if packet.size]


def test_a_fit_file_keeps_its_frames_and_loses_its_sound(tmp_path):
    write_video(tmp_path / "v.mp4", sound=True, seconds=1)
    encoded = encode(Reference(str(tmp_path / "v.mp4")), RULES)
    assert frames_of(encoded) == frames_of(tmp_path / "v.mp4")
    assert len(decode(encoded)[1]) == RATE
    assert encoded == encode(Reference(str(tmp_path / "v.mp4")), RULES)


def test_a_large_file_is_scaled_down(tmp_path):
    write_video(tmp_path / "v.mp4", 400, 300, seconds=0.3)
    assert decode(encode(Reference(str(tmp_path / "v.mp4")), RULES))[1][0].shape == (240, 320, 3)
    assert decode(encode(Reference(str(tmp_path / "v.mp4")), ClipRules(max_side=400)))[1][0].shape == (300, 400, 3)


def test_times_of_a_variable_frame_rate_stay(tmp_path):
    times = [0, 50, 400, 450, 460, 1000, 1900, 2000, 3500, 3550]
    write_video(tmp_path / "v.mp4", times=times)
    whole, _ = decode(encode(Reference(str(tmp_path / "v.mp4")), RULES))
    np.testing.assert_allclose(whole, np.array(times) / 1000, atol=1e-3)
    piece, frames = decode(encode(clip(tmp_path / "v.mp4", 0.4, 2.0), RULES))
    np.testing.assert_allclose(piece, (np.array(times[2:7]) - 400) / 1000, atol=1e-3)
    assert [level(frame) for frame in frames] == [2, 3, 4, 5, 6]


def test_a_rotated_video_is_loaded_upright_either_way(tmp_path):
    write_video(tmp_path / "v.mp4", seconds=0.5)
    turn(tmp_path / "v.mp4")
    for reference in (Reference(str(tmp_path / "v.mp4")), clip(tmp_path / "v.mp4", 0, 1)):
        encoded = encode(reference, RULES)
        (frame,) = load_clip(encoded, num_frames=1, frame_rate=1, size=96, max_pixels=10**6, rng=None)
        assert frame.size == (80, 96)
        # White, at the top right, has gone to the bottom right; black to the bottom left.
        assert min(frame.getpixel((60, 80))) > 230 and max(frame.getpixel((20, 80))) < 25


def test_a_clip_within_a_tar(tmp_path):
    write_video(tmp_path / "v.mp4", seconds=1)
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        tar.add(tmp_path / "v.mp4", "v.mp4")
    with tarfile.open(tmp_path / "x.tar") as tar:
        member = tar.getmember("v.mp4")
    reference = Reference(str(tmp_path / "x.tar"), SPAN, member.offset_data, member.size)
    assert encode(reference, RULES) == encode(Reference(str(tmp_path / "v.mp4")), RULES)


def test_a_film_that_begins_black_is_not_single_coloured(tmp_path):
    write_video(tmp_path / "v.mp4", seconds=1)
    black = np.zeros((80, 96, 3), np.uint8)
    write_video(tmp_path / "black.mp4", seconds=1, pixels=black)
    with av.open(str(tmp_path / "fade.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=RATE)
        stream.width, stream.height, stream.pix_fmt = 96, 80, "yuv420p"
        for frame in [black] * 5 + decode((tmp_path / "v.mp4").read_bytes())[1]:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode(None))
    assert encode(Reference(str(tmp_path / "black.mp4")), RULES) == "clip_single_colour"
    assert encode(clip(tmp_path / "black.mp4", 0, 1), RULES) == "clip_single_colour"
    assert isinstance(encode(Reference(str(tmp_path / "fade.mp4")), RULES), bytes)


@pytest.fixture(scope="module")
def oddities(tmp_path_factory):
    """A folder of files that are no whole videos."""
    folder = tmp_path_factory.mktemp("odd")
    write_video(folder / "good.mp4", movflags="+faststart")
    good = (folder / "good.mp4").read_bytes()
    write_video(folder / "last.mp4")  # its table of frames stands at the end
    (folder / "headless.mp4").write_bytes((folder / "last.mp4").read_bytes()[:-400])
    (folder / "cut.mp4").write_bytes(good[: len(good) * 8 // 10])
    (folder / "cut_early.mp4").write_bytes(good[: good.index(b"mdat") + 300])
    (folder / "empty.mp4").write_bytes(b"")
    (folder / "text.mp4").write_text("no video\n" * 100)
    (folder / "page.mp4").write_text("<!DOCTYPE html><html><body>404 Not Found</body></html>")
    (folder / "zeros.mp4").write_bytes(bytes(10_000))
    write_sound(folder / "sound.m4a")
    write_sound(folder / "song.mp4", cover=True)
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (80, 96, 3), np.uint8)).save(folder / "still.jpg")
    (folder / "still.mp4").write_bytes((folder / "still.jpg").read_bytes())
    (folder / "folder.mp4").mkdir()
    write_video(folder / "small.mp4", 48, 40, seconds=1)
    write_video(folder / "long.mp4", 400, 100, seconds=0.3)
    # Files that name others, as playlists do.
    write_video(folder / "secret.ts")
    (folder / "list.m3u8").write_text("#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\nsecret.ts\n#EXT-X-ENDLIST\n")
    (folder / "join.mp4").write_text("ffconcat version 1.0\nfile good.mp4\n")
    (folder / "ansi.txt").write_text("hello " * 400)
    return folder


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("headless.mp4", "clip_undecodable"),
        ("cut.mp4", "clip_undecodable"),
        ("cut_early.mp4", "clip_undecodable"),
        ("empty.mp4", "clip_undecodable"),
        ("text.mp4", "clip_undecodable"),
        ("page.mp4", "clip_undecodable"),
        ("zeros.mp4", "clip_undecodable"),
        ("sound.m4a", "clip_undecodable"),
        ("song.mp4", "clip_undecodable"),
        ("still.mp4", "clip_undecodable"),
        ("still.jpg", "clip_undecodable"),
        ("list.m3u8", "clip_undecodable"),
        ("join.mp4", "clip_undecodable"),
        ("ansi.txt", "clip_undecodable"),
        ("folder.mp4", "clip_unreadable"),
        ("nothing.mp4", "clip_unreadable"),
        ("small.mp4", "clip_too_small"),
        ("long.mp4", "clip_too_elongated"),
    ],
)
def test_what_is_no_clip(oddities, name, rule):
    assert encode(Reference(str(oddities / name)), RULES) == rule
    if name != "cut.mp4":
        assert encode(clip(oddities / name, 0, 2), RULES) == rule


def test_a_film_that_ends_early_gives_the_pieces_before_its_end(oddities):
    assert len(decode(encode(clip(oddities / "cut.mp4", 0, 1), RULES))[1]) == RATE
    assert encode(clip(oddities / "cut.mp4", 3, 4), RULES) == "clip_without_frames"


@pytest.mark.parametrize(
    ("start", "end", "result"),
    [
        (3.5, 4.5, 5),
        (3.95, 99, "clip_without_frames"),
        (20, 30, "clip_without_frames"),
        (1e8, 1e8 + 9, "clip_without_frames"),
    ],
)
def test_intervals_at_and_beyond_the_end(oddities, start, end, result):
    encoded = encode(clip(oddities / "good.mp4", start, end), RULES)
    assert encoded == result if isinstance(result, str) else len(decode(encoded)[1]) == result


def test_limits(oddities):
    good = oddities / "good.mp4"
    assert encode(clip(good, 0, 301), RULES) == "clip_too_long"
    assert isinstance(encode(clip(good, 0, 300), RULES), bytes)
    assert encode(Reference(str(good)), ClipRules(max_seconds=3.8)) == "clip_too_long"
    assert isinstance(encode(Reference(str(good)), ClipRules(max_seconds=4)), bytes)
    frames = dataclasses.replace(RULES, frames=ImageRules(max_pixels=96 * 80 - 1))
    assert encode(Reference(str(good)), frames) == "clip_too_many_pixels"
