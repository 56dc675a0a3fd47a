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


@given(st.integers(0, 9), st.integers(1, 4), st.data())
def test_wherever_it_is_cut_it_goes_on_with_whole_chunks(tmp_path_factory, count, chunk, data):
    keys = [f"k{place}" for place in range(count)]
    path = epath.Path(tmp_path_factory.mktemp("rows")) / "a" / "rows.jsonl"
    filled(path, keys, chunk)
    whole = path.read_bytes()
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole)))])
    left = Rows(path, keys, chunk)
    assert len(left.rows) == count or len(left.rows) % chunk == 0
    assert next(left.chunks(), range(count, count)).start == len(left.rows)
    filled(path, keys, chunk)
    assert path.read_bytes() == whole


def test_what_was_added_to_rows_is_kept(tmp_path):
    path = epath.Path(tmp_path) / "rows.jsonl"
    rows = filled(path, ["a", "b"], 1)
    rows.rows[0]["share"] = 3.0
    rows.rewrite()
    assert Rows(path, ["a", "b"], 1).rows[0]["share"] == 3.0


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
    with pytest.raises(ConfigError, match=r"rows.jsonl is damaged"):
        Rows(path, ["a", "b"], 1)
