"""Captioned clips as lists name them: what becomes a document, in every layout, and what is counted instead."""

import collections
import gzip
import json

import pytest

from data_pipelines.clips.clip_files import CLIP, ClipRules, encode
from data_pipelines.formats.video_lists import VideoListConfig
from data_pipelines.output import BuildError
from data_pipelines.pipeline.sketch import Reference
from tests.data_pipelines.list_samples import read, table, touch, write
from tests.data_pipelines.video_samples import decode, level, write_sound, write_video

WEBVID = ("videoid", "contentUrl", "duration", "page_dir", "name")


def test_webvid(tmp_path):
    touch(tmp_path / "videos", "000001_000050/21179416.mp4", "000051_000100/5629184.mp4")
    rows = [
        WEBVID,
        ("21179416", "https://x/21179416.mp4", "PT00H00M11S", "000001_000050", "Aerial shot, winter forest"),
        (
            "5629184",
            "https://x/5629184.mp4",
            "PT00H00M29S",
            "000051_000100",
            "Senior couple  looking\nthrough glasses",
        ),
        ("1", "https://x/1.mp4", "PT00H00M29S", "000051_000100", "Gone"),
        ("../../secret", "https://x/1.mp4", "", "000051_000100", "Traversal"),
    ]
    touch(tmp_path, "secret.mp4")
    listing = write(tmp_path / "results_2M_train.csv", table(rows))
    clips, drops, sketches, _ = read(listing, videos=str(tmp_path / "videos"))
    assert clips == {
        ("000001_000050/21179416.mp4", "Aerial shot, winter forest"): Reference(
            f"{tmp_path}/videos/000001_000050/21179416.mp4"
        ),
        ("000051_000100/5629184.mp4", "Senior couple looking through glasses"): Reference(
            f"{tmp_path}/videos/000051_000100/5629184.mp4"
        ),
    }
    assert drops == {"clip_missing": 1, "clip_outside_input": 1}
    assert sketches[0].key.startswith("000001_000050/21179416.mp4#caption=")
    lines = "".join(json.dumps(dict(zip(WEBVID, row, strict=True))) + "\n" for row in rows[1:])
    again, *_ = read(write(tmp_path / "lines/webvid.jsonl", lines), videos=str(tmp_path / "videos"))
    assert again == clips


def vatex(name, *captions, **more):
    return {"videoID": name, "enCap": list(captions), "chCap": ["\u4e00\u4e2a\u4eba"], **more}


def test_vatex(tmp_path):
    touch(tmp_path, "Ptf_2VRj-V0_000122_000132.mp4", "a_b.webm")
    listing = [
        vatex("Ptf_2VRj-V0_000122_000132", "A person climbs.", "Someone is climbing.", None, "A person climbs."),
        vatex("a_b_000010_000020", "They dance."),
        vatex("gone_000010_000020", "One.", "Two."),
        vatex("a_b_000020_000020", "No time."),
        vatex("a_b", "No times."),
        vatex("a_b_000010_000030"),
        {"videoID": "a_b_000011_000030"},
        {"videoID": None, "enCap": ["x"]},
    ]
    write(tmp_path / "vatex_training_v1.0.json", listing)
    clips, drops, *_ = read(tmp_path)
    cut = Reference(str(tmp_path / "Ptf_2VRj-V0_000122_000132.mp4"))
    assert clips == {
        ("Ptf_2VRj-V0_000122_000132.mp4", "A person climbs."): cut,
        ("Ptf_2VRj-V0_000122_000132.mp4", "Someone is climbing."): cut,
        ("a_b.webm#t=10,20", "They dance."): Reference(str(tmp_path / "a_b.webm"), CLIP, place="10,20"),
    }
    assert drops == {
        "caption_null": 1,
        "clip_repeated": 1,
        "clip_missing": 2,
        "clip_interval_invalid": 1,
        "clip_malformed": 2,
        "caption_missing": 2,
    }
    clips, drops, sketches, _ = read(tmp_path, captions="first")
    assert [sketch.key for sketch in sketches] == ["Ptf_2VRj-V0_000122_000132.mp4", "a_b.webm#t=10,20"]
    assert drops["caption_not_first"] == 1 and drops["clip_repeated"] == 1


def test_msrvtt(tmp_path):
    touch(tmp_path / "TrainValVideo", "video0.mp4", "video1.mp4", "video2.mp4")
    videos = [
        {"video_id": "video0", "split": "train", "start time": 137.72, "end time": 149.44, "url": "https://x", "id": 0},
        {"video_id": "video1", "split": "validate"},
        {"video_id": "video2"},
        {"video_id": "video3", "split": "train"},
        {"video_id": "video4", "split": "train"},
        {"split": "train"},
    ]
    sentences = [
        {"caption": "a cartoon", "video_id": "video0", "sen_id": 0},
        {"caption": "held out", "video_id": "video1", "sen_id": 1},
        {"caption": "a car", "video_id": "video0", "sen_id": 2},
        {"caption": "without split", "video_id": "video2", "sen_id": 3},
        {"caption": "gone", "video_id": "video3", "sen_id": 4},
        {"caption": "of nothing", "video_id": "video9", "sen_id": 5},
        {"caption": "a car", "video_id": "video0", "sen_id": 6},
        {"caption": "  ", "video_id": "video0", "sen_id": 7},
        {"caption": "whose?"},
        [],
    ]
    listing = write(tmp_path / "x/train_val.json", {"info": {}, "sentences": sentences, "videos": videos})
    folder = str(tmp_path / "TrainValVideo")
    clips, drops, *_ = read(listing, videos=folder)
    assert clips == {
        ("video0.mp4", "a cartoon"): Reference(f"{folder}/video0.mp4"),
        ("video0.mp4", "a car"): Reference(f"{folder}/video0.mp4"),
        ("video2.mp4", "without split"): Reference(f"{folder}/video2.mp4"),
    }
    assert drops == {
        "split_left_out": 1,
        "clip_missing": 1,
        "clip_unknown": 1,
        "clip_repeated": 1,
        "caption_empty": 1,
        "clip_malformed": 3,
        "caption_missing": 1,
    }
    assert ("video1.mp4", "held out") in read(listing, videos=folder, splits=())[0]


GOOD = {"file": "videos/a.mp4", "start": 0, "end": 2, "caption": " Grey  grows\nlighter. "}
ENTRIES = {
    "kept": GOOD,
    "kept, another piece": {**GOOD, "start": 1.5, "end": 3},
    "kept, another caption": {**GOOD, "caption": "Other."},
    "kept, whole": {"file": "videos/a.mp4", "caption": "All of it."},
    "kept, list of captions": {**GOOD, "start": 5, "end": 8, "caption": ["One.", "Two."]},
    "clip_repeated": {**GOOD, "caption": "Grey grows lighter."},
    "caption_empty": {**GOOD, "caption": "  "},
    "caption_null": {**GOOD, "caption": None},
    "caption_null, missing": {"file": "videos/a.mp4"},
    "caption_not_a_string": {**GOOD, "caption": 7},
    "caption_missing": {**GOOD, "caption": []},
    "clip_interval_invalid": {**GOOD, "start": 3, "end": 3},
    "clip_interval_invalid, negative": {**GOOD, "start": -1},
    "clip_interval_invalid, far": {**GOOD, "start": 1e15, "end": 1e15 + 1},
    "clip_malformed, huge": {**GOOD, "end": 10**400},
    "clip_malformed, text": {**GOOD, "start": "0"},
    "clip_malformed, nan": {**GOOD, "end": float("nan")},
    "clip_malformed, infinite": {**GOOD, "end": float("inf")},
    "clip_malformed, true": {**GOOD, "start": True},
    "clip_malformed, one time": {"file": "videos/a.mp4", "start": 1, "caption": "x"},
    "clip_malformed, no file": {**GOOD, "file": " "},
    "clip_malformed, number": {**GOOD, "file": 5},
    "clip_malformed, no object": "nonsense",
    "clip_missing": {**GOOD, "file": "none.mp4"},
    "clip_missing, folder": {**GOOD, "file": "videos"},
    "clip_missing, nul": {**GOOD, "file": "a\0.mp4"},
    "clip_missing, surrogate": {**GOOD, "file": "\ud800.mp4"},
    "clip_outside_input": {**GOOD, "file": "../secret.mp4"},
    "clip_outside_input, absolute": {**GOOD, "file": "/etc/passwd"},
    "clip_outside_input, link": {**GOOD, "file": "link.mp4"},
}
RULES = dict(collections.Counter(name.partition(",")[0] for name in ENTRIES if not name.startswith("kept")))
KEPT = {
    ("videos/a.mp4#t=0,2", "Grey grows lighter."),
    ("videos/a.mp4#t=0,2", "Other."),
    ("videos/a.mp4#t=1.5,3", "Grey grows lighter."),
    ("videos/a.mp4", "All of it."),
    ("videos/a.mp4#t=5,8", "One."),
    ("videos/a.mp4#t=5,8", "Two."),
}


@pytest.fixture
def root(tmp_path):
    touch(tmp_path, "secret.mp4", "in/videos/a.mp4")
    (tmp_path / "in/link.mp4").symlink_to(tmp_path / "secret.mp4")
    return tmp_path / "in"


def test_odd_entries_of_a_json_list(root):
    clips, drops, *_ = read(write(root / "clips.json", [*ENTRIES.values()]))
    assert set(clips) == KEPT and drops == RULES
    assert clips["videos/a.mp4#t=1.5,3", "Grey grows lighter."] == Reference(
        str(root / "videos/a.mp4"), CLIP, place="1.5,3"
    )


def test_odd_entries_of_json_lines(root):
    lines = [json.dumps(entry) for entry in ENTRIES.values()]
    text = "\n\n".join([*lines, "{", "[1]", '{"file": "cut off'])
    for path, encoded in (("clips.jsonl", text.encode()), ("more/clips.ndjson.gz", gzip.compress(text.encode()))):
        clips, drops, *_ = read(write(root / path, encoded), videos=str(root))
        # What is no object is the lines' own fault; and JSON lines end within the last one.
        expected = {**RULES, "clip_malformed": RULES["clip_malformed"] - 1, "record_not_an_object": 2}
        assert set(clips) == KEPT and drops == {**expected, "record_not_json": 1, "shard_truncated": 1}


def test_a_list_without_a_sound_one(tmp_path):
    """Every kind of file that is no list, and every list that is no list of clips."""
    for name, text, message in (
        ("a.json", "", "is empty"),
        ("b.json", "{", "is not JSON"),
        ("c.json", "[]", "at least one clip"),
        ("d.json", "{}", "must be a JSON list"),
        ("e.json", '[{"file": "a.mp4", "capt', "is the file cut off"),
        ("f.json", '{"file": "a.mp4", "caption": "x"}\n{"file": "b.mp4"}', "must be named .jsonl"),
        ("g.json", '{"videos": [], "sentences": []}', "must be a JSON list"),
        ("h.csv", "", "must have the columns file and caption"),
        ("i.csv", "a.mp4,A caption\n", "must have the columns file and caption"),
        ("j.csv", "file,caption,caption\n", "each once"),
        ("k.csv", "file,caption\n", "at least one clip"),
        ("l.jsonl", "\n", "at least one clip"),
    ):
        listing = write(tmp_path / name, text)
        with pytest.raises(BuildError, match=message) as error:
            read(listing)
        assert name in str(error.value) and len(str(error.value).splitlines()) == 1
    with pytest.raises(BuildError, match="does not exist"):
        read(tmp_path / "none.csv")
    with pytest.raises(BuildError, match="has no list of clips"):
        read(write(tmp_path / "other/x.txt", "x").parent)


def test_lists_in_two_folders_share_no_key(tmp_path):
    for folder in ("x", "y"):
        touch(tmp_path / folder, "a.mp4")
        write(tmp_path / folder / "clips.json", [{"file": "a.mp4", "caption": "One."}])
    *_, sketches, _ = read(tmp_path)
    assert sorted(sketch.items[0].source for sketch in sketches) == ["x/a.mp4", "y/a.mp4"]


@pytest.mark.parametrize("options", [{"captions": "all"}, {"splits": "train"}])
def test_options_outside_their_range(options):
    with pytest.raises(ValueError, match="must be"):
        VideoListConfig(**options)


def test_from_a_list_to_the_files_of_clips(tmp_path):
    """All the way: what `read` lets through is cut, copied or dropped by `clip_files.encode`."""
    write_video(tmp_path / "a.mp4")
    write_video(tmp_path / "flat.mp4", seconds=1, pixels=decode((tmp_path / "a.mp4").read_bytes())[1][0] * 0 + 128)
    write_sound(tmp_path / "sound.mp4")
    (tmp_path / "cut.mp4").write_bytes((tmp_path / "a.mp4").read_bytes()[:900])
    touch(tmp_path, "text.mp4")
    (tmp_path / "empty.mp4").touch()
    pieces = [(0, 2), (1.5, 3), (20, 30), (0, 1000)]
    rows = [("a.mp4", *piece) for piece in pieces]
    rows += [(name, "", "") for name in ("a.mp4", "flat.mp4", "sound.mp4", "cut.mp4", "text.mp4", "empty.mp4")]
    listing = write(
        tmp_path / "clips.csv", table([("file", "start", "end", "caption"), *[(*row, "x") for row in rows]])
    )
    results = {source: encode(reference, ClipRules()) for (source, _), reference in read(listing)[0].items()}
    frames = {source: decode(result)[1] for source, result in results.items() if isinstance(result, bytes)}
    assert {source: (level(kept[0]), len(kept)) for source, kept in frames.items()} == {
        "a.mp4#t=0,2": (0, 20),
        "a.mp4#t=1.5,3": (15, 15),
        "a.mp4": (0, 40),
    }
    assert {source: rule for source, rule in results.items() if isinstance(rule, str)} == {
        "a.mp4#t=20,30": "clip_without_frames",
        "a.mp4#t=0,1000": "clip_too_long",
        "flat.mp4": "clip_single_colour",
        "sound.mp4": "clip_undecodable",
        "cut.mp4": "clip_undecodable",
        "text.mp4": "clip_undecodable",
        "empty.mp4": "clip_undecodable",
    }
