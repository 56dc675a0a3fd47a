"""Answers kept as they come: what a kill may leave of the file, and what goes on from it."""

import json

import pytest
from etils import epath
from hypothesis import given
from hypothesis import strategies as st

from flamingo_jax.config import ConfigError
from flamingo_jax.evaluation.fewshot.rows import Rows


def row(key: str) -> dict:
    return {"key": key, "answer": f"über {key}\u2028\n"}


def filled(path, keys, chunk, chunks=None):
    rows = Rows(path, keys, chunk)
    for count, places in enumerate(rows.chunks()):
        if chunks is not None and count == chunks:
            break
        rows.add([row(keys[place]) for place in places])
    return rows


@given(st.integers(1, 9), st.integers(1, 4), st.data())
def test_wherever_it_is_cut_it_goes_on_with_whole_chunks(tmp_path_factory, count, chunk, data):
    keys = [f"k{place}" for place in range(count)]
    path = epath.Path(tmp_path_factory.mktemp("rows")) / "a" / "rows.jsonl"
    filled(path, keys, chunk)
    whole = path.read_bytes()
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole)))])
    left = Rows(path, keys, chunk)
    assert len(left) == count or len(left) % chunk == 0
    assert next(left.chunks(), range(count, count)).start == len(left) == len([*left])
    filled(path, keys, chunk)
    assert path.read_bytes() == whole


def test_what_was_added_to_rows_is_kept(tmp_path):
    path = epath.Path(tmp_path) / "rows.jsonl"
    rows = filled(path, ["a", "b"], 1)
    rows.note("share", [3.0, None])
    assert [kept["share"] for kept in rows] == [kept["share"] for kept in Rows(path, ["a", "b"], 1)] == [3.0, None]


def test_reading_changes_nothing(tmp_path):
    """Another command may look into the folder at any time: what one writes meanwhile stays."""
    path = epath.Path(tmp_path) / "rows.jsonl"
    keys = ["a", "b", "c", "d"]
    assert len(Rows(path, keys, 2)) == 0 and not path.exists()
    writer = filled(path, keys, 2, chunks=1)
    path.write_bytes(path.read_bytes() + b'{"key": "c"')  # a chunk on its way to the disk
    before = path.read_bytes()
    assert [kept["key"] for kept in Rows(path, keys, 2)] == ["a", "b"]
    assert path.read_bytes() == before
    with pytest.raises(ConfigError, match="another command is answering the same items"):
        writer.add([row("c"), row("d")])
    assert path.read_bytes() == before


def test_answers_to_other_items_are_refused(tmp_path):
    path = epath.Path(tmp_path) / "rows.jsonl"
    filled(path, ["a", "b"], 1)
    with pytest.raises(ConfigError, match="other items: delete it, or give another --output"):
        Rows(path, ["a", "c"], 1)
    with pytest.raises(ConfigError, match="other items"):
        Rows(path, ["a"], 1)


def test_a_damaged_line_is_named(tmp_path):
    path = epath.Path(tmp_path) / "rows.jsonl"
    path.write_text("{\n" + json.dumps(row("a")) + "\n")
    with pytest.raises(ConfigError, match=r"rows.jsonl, line 1 is not a row .* delete it to ask anew"):
        Rows(path, ["a", "b"], 1)


class Store:
    """A file of an object store, which cannot be appended to; it lies elsewhere."""

    def __init__(self, path):
        self.path, self.written = path, []  # what stood there when it was replaced

    def __str__(self):
        return f"gs://{self.path}"

    def __fspath__(self):
        self.written.append(self.path.read_bytes() if self.path.exists() else b"")
        return str(self.path)

    def __getattr__(self, name):
        return getattr(self.path, name)


def test_object_stores_get_all_rows_anew_from_time_to_time(tmp_path):
    keys = [f"k{place}" for place in range(50)]
    store, local = Store(epath.Path(tmp_path) / "store.jsonl"), epath.Path(tmp_path) / "local.jsonl"
    filled(local, keys, 1)
    filled(store, keys, 1, chunks=30)
    filled(store, keys, 1)
    assert store.path.read_bytes() == local.read_bytes()
    assert len(set(store.written)) < 35
