"""Tables of captioned clips: every dialect is read, and odd rows are counted."""

import csv
import gzip
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_pipelines.clips.clip_files import CLIP
from data_pipelines.formats.video_rows import Columns
from data_pipelines.pipeline.sketch import Reference
from tests.data_pipelines.list_samples import read, table, touch, write

ROWS = {
    "kept": ("videos/a.mp4", " Grey  grows\nlighter. ", "0", "2"),
    "kept, another piece": ("videos/a.mp4", "Grey.", "1.5", "3e0"),
    "kept, another caption": ("./videos/a.mp4", "Other.", " 0 ", "2"),
    "kept, whole": ("videos/a.mp4", 'All "of" it, really.', "", " "),
    "clip_repeated": ("videos/a.mp4", "Grey grows lighter.", "0.0", "2"),
    "caption_empty": ("videos/a.mp4", " \n", "0", "2"),
    "clip_interval_invalid": ("videos/a.mp4", "x", "3", "3"),
    "clip_interval_invalid, negative": ("videos/a.mp4", "x", "-1", "3"),
    "clip_interval_invalid, far": ("videos/a.mp4", "x", "1e15", "2e15"),
    "clip_malformed, huge": ("videos/a.mp4", "x", "0", "9" * 400),
    "clip_malformed, nan": ("videos/a.mp4", "x", "0", "nan"),
    "clip_malformed, minutes": ("videos/a.mp4", "x", "0:00", "0:10"),
    "clip_malformed, one time": ("videos/a.mp4", "x", "1", ""),
    "clip_malformed, no file": ("", "x", "0", "2"),
    "clip_malformed, too few": ("videos/a.mp4", "x"),
    "clip_malformed, a comma that nobody quoted": ("videos/a.mp4", "x", " y", "0", "2"),
    "clip_missing": ("none.mp4", "x", "0", "2"),
    "clip_missing, nul": ("a\0.mp4", "x", "0", "2"),
    "clip_outside_input": ("../secret.mp4", "x", "0", "2"),
    "clip_outside_input, absolute": ("/etc/passwd", "x", "0", "2"),
    "clip_outside_input, link": ("link.mp4", "x", "0", "2"),
}


def test_odd_rows(tmp_path):
    root = tmp_path / "in"
    touch(tmp_path, "secret.mp4", "in/videos/a.mp4")
    (root / "link.mp4").symlink_to(tmp_path / "secret.mp4")
    rows = [(), ("file", "caption", "start", "end"), *ROWS.values(), ()]
    clips, drops, *_ = read(write(root / "clips.csv", table(rows)))
    path = str(root / "videos/a.mp4")
    assert clips == {
        ("videos/a.mp4#t=0,2", "Grey grows lighter."): Reference(path, CLIP, place="0,2"),
        ("videos/a.mp4#t=1.5,3", "Grey."): Reference(path, CLIP, place="1.5,3"),
        ("videos/a.mp4#t=0,2", "Other."): Reference(path, CLIP, place="0,2"),
        ("videos/a.mp4", 'All "of" it, really.'): Reference(path),
    }
    assert drops == {
        "clip_repeated": 1,
        "caption_empty": 1,
        "clip_interval_invalid": 3,
        "clip_malformed": 7,
        "clip_missing": 2,
        "clip_outside_input": 3,
    }


CAPTION = 'Caf\xe9, "au lait";\r\nof two\tlines | and \u4e00'


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("terminator", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_dialects_of_tables(tmp_path, delimiter, terminator, encoding):
    touch(tmp_path, "a.mp4", "b.mp4")
    rows = [
        ("id", "clip", " from", "to", "text"),
        (1, "a.mp4", "0.5", "1.25", CAPTION),
        (2, "b.mp4", " ", "", "Plain."),
    ]
    text = table(rows, delimiter=delimiter, lineterminator=terminator)
    listing = write(tmp_path / "clips.csv", text.encode(encoding))
    clips, drops, *_ = read(listing, columns=Columns("clip", "text", "from", "to"))
    assert drops == {}
    assert set(clips) == {("a.mp4#t=0.5,1.25", " ".join(CAPTION.split())), ("b.mp4", "Plain.")}


def test_bytes_that_are_not_utf8(tmp_path):
    touch(tmp_path, "a.mp4", "caf\xe9.mp4")
    text = "file,caption\na.mp4,Caf\xe9 cr\xe8me.\ncaf\xe9.mp4,In UTF-8: ".encode("latin-1") + "\xe9\na.mp4,".encode()
    clips, drops, *_ = read(write(tmp_path / "clips.csv", text + bytes([0x81, 1, 2, 3, 4, 0xFF]) + b"\n"))
    assert set(clips) == {("a.mp4", "Caf\xe9 cr\xe8me."), ("caf\xe9.mp4", "In UTF-8: \xe9")}
    assert drops == {"caption_undecodable": 1}
    text = json.dumps([{"file": "a.mp4", "caption": "Caf\xe9."}], ensure_ascii=False).encode("latin-1")
    assert set(read(write(tmp_path / "json/clips.json", text), videos=str(tmp_path))[0]) == {("a.mp4", "Caf\xe9.")}


def test_a_quotation_mark_that_nothing_closes_costs_no_more_than_a_stretch(tmp_path):
    touch(tmp_path, "a.mp4")
    rows = "".join(f"a.mp4,Caption {number}.\n" for number in range(20_000))
    clips, drops, *_ = read(write(tmp_path / "clips.csv", f'file,caption\na.mp4,"Open.\n{rows}'))
    assert drops == {"clip_malformed": 1}
    assert len(clips) > 13_000  # a cell has at most 128 kB


@given(st.lists(st.text(min_size=1, max_size=30), min_size=1, max_size=8), st.sampled_from([",", ";", "\t", "|"]))
@settings(max_examples=60, deadline=None)
def test_any_caption_comes_through_a_table(tmp_path_factory, captions, delimiter):
    """Against Python's own writer of tables."""
    folder = tmp_path_factory.mktemp("table")
    touch(folder, "a.mp4")
    rows = [("file", "caption"), *[("a.mp4", caption) for caption in captions]]
    listing = write(folder / "clips.csv", table(rows, delimiter=delimiter, quoting=csv.QUOTE_ALL))
    clips, *_ = read(listing)
    expected = {" ".join(caption.strip().strip("\ufeff").split()) for caption in captions}
    assert {caption for _, caption in clips} == expected - {""}


def test_a_compressed_table_that_is_cut_off_gives_what_stands_before(tmp_path):
    touch(tmp_path, "a.mp4")
    rows = "".join(f"a.mp4,Caption {number**3}.\n" for number in range(5000))
    listing = write(tmp_path / "clips.csv.gz", gzip.compress(f"file,caption\n{rows}".encode())[:-2000])
    clips, drops, *_ = read(listing)
    assert len(clips) > 3000
    assert drops.pop("shard_truncated") == 1 and sum(drops.values()) <= 1
