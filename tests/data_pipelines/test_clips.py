"""Captioned clips: the cut is exact, upright and self-contained; what cannot be cut is counted."""

import io
import json
import struct
from fractions import Fraction

import av
import numpy as np
import pytest
import tensorflow_datasets as tfds

from data_pipelines import command_line, convert
from data_pipelines.clips import cutting
from flamingo_jax.data.document import Document, Text, Video

RATE, SECONDS = 10, 4


def write_video(path, width=96, height=80, seconds=SECONDS, rate=RATE, codec="libx264", flat=False):
    """Frame i is grey of level 5 i + 20 (up to 220) on the left, white at the top right, black at the bottom right."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for index in range(round(seconds * rate)):
            pixels = np.full((height, width, 3), 128 if flat else min(220, 5 * index + 20), np.uint8)
            if not flat:
                pixels[: height // 2, width // 2 :], pixels[height // 2 :, width // 2 :] = 255, 0
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode(None))


def decode(encoded: bytes) -> tuple[list[float], list[np.ndarray]]:
    """(times in seconds, frames)."""
    with av.open(io.BytesIO(encoded)) as container:
        assert not container.streams.audio
        frames = list(container.decode(video=0))
    return [float(frame.pts * frame.time_base) for frame in frames], [
        frame.to_ndarray(format="rgb24") for frame in frames
    ]


def level(frame: np.ndarray) -> int:
    """The index of a frame of `write_video`, from its grey."""
    return round((float(frame[:, : frame.shape[1] // 3].mean()) - 20) / 5)


@pytest.mark.parametrize(
    ("start", "end", "frames"),
    [
        (0, 4, range(40)),
        (1, 2, range(10, 20)),
        (1.25, 1.75, range(13, 18)),
        (3.5, 99, range(35, 40)),
        (0, 0.01, range(1)),
    ],
)
def test_the_cut_holds_exactly_the_frames_of_its_interval(tmp_path, start, end, frames):
    write_video(tmp_path / "v.mp4")
    times, pixels = decode(cutting.cut(tmp_path / "v.mp4", start, end, max_side=320))
    assert [level(frame) for frame in pixels] == list(frames)
    np.testing.assert_allclose(times, np.arange(len(frames)) / RATE, atol=1e-4)
    assert pixels[0].shape == (80, 96, 3)


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
    data = (tmp_path / "v.mp4").read_bytes()
    matrix = data.index(b"tkhd") + 4 + 40  # ISO 14496-12: version 0 has 40 bytes before the matrix
    clockwise = struct.pack(">9i", 0, 1 << 16, 0, -1 << 16, 0, 0, 80 << 16, 0, 1 << 30)
    (tmp_path / "r.mp4").write_bytes(data[:matrix] + clockwise + data[matrix + 36 :])
    _, (frame, *_) = decode(cutting.cut(tmp_path / "r.mp4", 0, 1, max_side=320))
    assert frame.shape == (96, 80, 3)
    assert (
        frame[60:, 50:].mean() > 240 and frame[60:, :30].mean() < 15
    )  # white, at the top right, has gone to the bottom


def test_cutting_twice_gives_the_same_bytes(tmp_path):
    write_video(tmp_path / "v.mp4", 176, 160)
    assert len({cutting.cut(tmp_path / "v.mp4", 0.5, 3, max_side=320) for _ in range(6)}) == 1


def run(*arguments) -> int:
    return command_line.run(convert.main, ["clips", *map(str, arguments)])


def test_clips_and_drops(tmp_path):
    root = tmp_path / "in"
    write_video(root / "videos" / "a.mp4")
    write_video(root / "small.mp4", 48, 40, seconds=1)
    write_video(root / "flat.mp4", seconds=1, flat=True)
    write_video(tmp_path / "secret.mp4", seconds=1)
    (root / "broken.mp4").write_bytes((root / "videos" / "a.mp4").read_bytes()[:900])
    (root / "text.mp4").write_text("no video")
    good = {"file": "videos/a.mp4", "start": 0, "end": 2, "caption": " Grey  grows\nlighter. "}
    entries = [
        good,
        {**good, "start": 1.5, "end": 3},
        good,
        {**good, "caption": "  "},
        {**good, "start": 3, "end": 3},
        {**good, "start": -1},
        {**good, "start": 20, "end": 30},
        {**good, "end": 1000},
        {**good, "start": "0"},
        {**good, "end": float("nan")},
        {**good, "file": "none.mp4"},
        {**good, "file": "../secret.mp4"},
        {**good, "file": "broken.mp4"},
        {**good, "file": "text.mp4"},
        {**good, "file": "small.mp4"},
        {**good, "file": "flat.mp4"},
        "nonsense",
    ]
    (root / "clips.json").write_text(json.dumps(entries))
    assert run("--input", root / "clips.json", "--output", tmp_path / "out", "--validation_fraction", 0) == 0
    source = tfds.builder_from_directory(tmp_path / "out" / "clips" / "1.0.0").as_data_source("train")
    documents = {document.key: document for document in map(Document.from_record, source)}
    assert sorted(key.partition("&")[0] for key in documents) == ["videos/a.mp4#t=0,2", "videos/a.mp4#t=1.5,3"]
    video, caption = documents[max(documents)].items
    assert caption == Text("Grey grows lighter.")
    assert isinstance(video, Video) and video.source == "videos/a.mp4#t=1.5,3"
    assert [level(frame) for frame in decode(video.encoded)[1]] == list(range(15, 30))
    report = json.loads((tmp_path / "out" / "clips" / "drops.json").read_text())
    assert report["kept"]["clips"] == 2
    assert {drop["rule"]: drop["count"] for drop in report["drops"]} == {
        "clip_repeated": 1,
        "caption_empty": 1,
        "clip_interval_invalid": 2,
        "clip_without_frames": 1,
        "clip_too_long": 1,
        "clip_malformed": 3,
        "clip_missing": 1,
        "clip_outside_input": 1,
        "clip_undecodable": 2,
        "clip_too_small": 1,
        "clip_single_colour": 1,
    }


def test_a_changed_video_is_another_input(tmp_path, capsys):
    write_video(tmp_path / "v.mp4", seconds=1)
    (tmp_path / "clips.json").write_text(json.dumps([{"file": "v.mp4", "start": 0, "end": 1, "caption": "Grey."}]))
    arguments = ["--input", tmp_path / "clips.json", "--output", tmp_path / "out"]
    assert run(*arguments) == run(*arguments) == 0
    assert "nothing to do" in capsys.readouterr().out
    write_video(tmp_path / "v.mp4", seconds=2)
    assert run(*arguments) == 2
    assert "media" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "message"),
    [(None, "does not exist"), ("{", "JSON"), ("[]", "at least one clip"), ("{}", "list")],
)
def test_a_list_that_is_none(tmp_path, capsys, text, message):
    if text is not None:
        (tmp_path / "clips.json").write_text(text)
    assert run("--input", tmp_path / "clips.json", "--output", tmp_path / "out") == 2
    error = capsys.readouterr().err
    assert message in error and len(error.splitlines()) == 1
    assert not (tmp_path / "out").exists()
