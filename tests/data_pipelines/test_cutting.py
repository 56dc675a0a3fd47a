"""Cuts are exact, upright, self-contained and reproducible."""

import io
from fractions import Fraction

import numpy as np
import pytest

from data_pipelines.clips import cutting
from tests.data_pipelines.video_samples import LEVELS, RATE, decode, level, turn, write_video


@pytest.mark.parametrize(
    ("start", "end", "frames"),
    [
        (0, 4, range(40)),
        (1, 2, range(10, 20)),
        (1.25, 1.75, range(13, 18)),
        (3.5, 99, range(35, 40)),
        (2.5, float("inf"), range(25, 40)),
        (0, 0.01, range(1)),
    ],
)
def test_the_cut_holds_exactly_the_frames_of_its_interval(tmp_path, start, end, frames):
    write_video(tmp_path / "v.mp4")
    encoded = cutting.cut(tmp_path / "v.mp4", start, end, max_side=320)
    times, pixels = decode(encoded)
    assert [level(frame) for frame in pixels] == list(frames)
    np.testing.assert_allclose(times, np.arange(len(frames)) / RATE, atol=1e-4)
    assert pixels[0].shape == (80, 96, 3)
    assert encoded == cutting.cut(io.BytesIO((tmp_path / "v.mp4").read_bytes()), start, end, max_side=320)


@pytest.mark.parametrize("start", [2.0, 7.3, 12.0, 23.95])
def test_a_cut_far_into_a_film_is_exact_wherever_its_key_frames_are(tmp_path, start):
    """Seeking lands on a key frame, which may be far before the interval; MPEG-TS has no table of them."""
    for name, key_frames in (("v.mp4", "250"), ("w.mp4", "7"), ("v.ts", "250"), ("w.ts", "7"), ("v.mkv", "60")):
        path = tmp_path / name
        write_video(path, seconds=25, codec_options={"g": key_frames})
        _, pixels = decode(cutting.cut(path, start, start + 0.5, max_side=320))
        first = round(start * RATE + 0.4)
        assert [level(frame) for frame in pixels] == [index % LEVELS for index in range(first, first + 5)], name


def test_other_containers_and_rates(tmp_path):
    write_video(tmp_path / "v.avi", codec="mpeg4", rate=24)
    write_video(tmp_path / "w.mkv", rate=Fraction(30000, 1001))
    times, _ = decode(cutting.cut(tmp_path / "v.avi", 1, 2, max_side=320))
    np.testing.assert_allclose(times, np.arange(24) / 24, atol=1e-4)
    times, _ = decode(cutting.cut(tmp_path / "w.mkv", 1, 2, max_side=320))
    assert len(times) == 30
    np.testing.assert_allclose(np.diff(times), 1001 / 30000, atol=1.1e-3)  # Matroska's clock ticks once a millisecond


def test_large_videos_are_scaled_down(tmp_path):
    write_video(tmp_path / "v.mp4", 400, 300, seconds=0.3)
    assert decode(cutting.cut(tmp_path / "v.mp4", 0, 1, max_side=320))[1][0].shape == (240, 320, 3)
    assert decode(cutting.cut(tmp_path / "v.mp4", 0, 1, max_side=101))[1][0].shape == (76, 100, 3)


def test_a_rotated_video_is_cut_upright(tmp_path):
    write_video(tmp_path / "v.mp4", seconds=0.5)
    turn(tmp_path / "v.mp4")
    _, (frame, *_) = decode(cutting.cut(tmp_path / "v.mp4", 0, 1, max_side=320))
    assert frame.shape == (96, 80, 3)
    # White, at the top right, has gone to the bottom.
    assert frame[60:, 50:].mean() > 240 and frame[60:, :30].mean() < 15


def test_cutting_twice_gives_the_same_bytes(tmp_path):
    write_video(tmp_path / "v.mp4", 176, 160)
    assert len({cutting.cut(tmp_path / "v.mp4", 0.5, 3, max_side=320) for _ in range(6)}) == 1


def test_a_name_that_looks_like_an_address_is_a_name(tmp_path, monkeypatch):
    write_video(tmp_path / "v.mp4", seconds=0.5)
    (tmp_path / "v.mp4").rename(tmp_path / "data:video%03d.mp4")
    monkeypatch.chdir(tmp_path)
    path = (tmp_path / "data:video%03d.mp4").relative_to(tmp_path)
    assert len(decode(cutting.cut(path, 0, 1, max_side=320))[1]) == 5
