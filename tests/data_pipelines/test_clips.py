"""Captioned clips: what is in the dataset, and what is counted."""

import json

import numpy as np
import pytest
import tensorflow_datasets as tfds

from data_pipelines import command_line, convert
from flamingo_jax.data.document import Document, Text, Video
from tests.data_pipelines.video_samples import decode, level, write_video


def run(*arguments) -> int:
    return command_line.run(convert.main, ["clips", *map(str, arguments)])


def test_clips_and_drops(tmp_path):
    root = tmp_path / "in"
    write_video(root / "videos" / "a.mp4")
    write_video(root / "small.mp4", 48, 40, seconds=1)
    write_video(root / "flat.mp4", seconds=1, pixels=np.full((80, 96, 3), 128, np.uint8))
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
