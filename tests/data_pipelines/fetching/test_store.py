"""The store: found from the address, atomic, and deterministic."""

import os
import time
from pathlib import Path

import hypothesis
import pytest
from hypothesis import strategies

from data_pipelines.fetching.store import ImageStore
from data_pipelines.pipeline import references
from data_pipelines.pipeline.sketch import Reference

KEPT = {"final_url": "http://h/b", "status": 200, "mime": "image/png"}


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_what_was_put_is_found(store, tmp_path):
    assert store.lookup("http://h/a") is None
    reference = store.put("http://h/a", b"bytes", **KEPT)
    store.refuse("http://h/c", "fetch_not_found")
    other = ImageStore(str(tmp_path / "store"))  # another worker
    assert other.lookup("http://h/a") == reference
    assert references.read(reference) == b"bytes"
    assert other.lookup(" http://h/a#x\n") == reference
    assert other.lookup("http://h/c") == "fetch_not_found"
    assert other.lookup("http://h/A") is None
    assert ImageStore(tmp_path / "store", "page").lookup("http://h/a") is None


def test_two_runs_give_equal_stores(tmp_path):
    for name in ("one", "two"):
        store = ImageStore(tmp_path / name)
        store.put("http://h/a", b"bytes", **KEPT)
        store.refuse("http://h/c", "fetch_not_found")
        store.refuse("http://h/c", "fetch_not_found")
    assert files(tmp_path / "one") == files(tmp_path / "two")
    assert len(files(tmp_path / "one")) == 3


@hypothesis.given(strategies.text(strategies.characters(exclude_categories=[]), max_size=40))
@hypothesis.settings(max_examples=50, suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture])
def test_any_address_can_be_refused(tmp_path, url):
    store = ImageStore(tmp_path)
    store.refuse(url, "fetch_bad_url")
    assert store.lookup(url) == "fetch_bad_url"


@pytest.mark.parametrize(
    "damaged", [b"", b"{", b"[]", b"null", b'"x"', b"{}", b'{"rule": 3}', b'{"bytes": "5"}', b"\xff\xfe", b"[" * 9000]
)
def test_a_damaged_record_is_as_none(store, damaged):
    reference = store.put("http://h/a", b"bytes", **KEPT)
    Path(reference.path).with_suffix(".json").write_bytes(damaged)
    assert store.lookup("http://h/a") is None
    assert store.put("http://h/a", b"bytes", **KEPT) == store.lookup("http://h/a") == reference


@pytest.mark.parametrize("fails", [1, 2])
def test_a_failed_write_leaves_nothing(store, tmp_path, monkeypatch, fails):
    """The disk is full when the bytes, or when their record, take their place."""
    replace, calls = os.replace, []

    def full(*arguments):
        calls.append(arguments)
        if len(calls) == fails:
            raise OSError(28, "No space left on device")
        return replace(*arguments)

    (tmp_path / "store").mkdir()
    store.refuse("http://h/c", "fetch_not_found")
    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space"):
        store.put("http://h/a", b"bytes", **KEPT)
    monkeypatch.undo()
    assert store.lookup("http://h/a") is None
    assert not [name for name in files(tmp_path / "store") if "incomplete" in name]
    assert isinstance(store.put("http://h/a", b"bytes", **KEPT), Reference)


def test_leftovers_of_killed_runs_go_after_a_day(store, tmp_path):
    store.refuse("http://h/c", "fetch_not_found")
    incomplete = tmp_path / "store" / "image" / "incomplete"
    for name, age in (("old", 90_000), ("new", 3_000)):
        (incomplete / name).write_bytes(b"half")
        os.utime(incomplete / name, (time.time() - age,) * 2)
    store.sweep()
    assert [path.name for path in incomplete.iterdir()] == ["new"]
    assert store.lookup("http://h/c") == "fetch_not_found"


def test_mistakes(store):
    with pytest.raises(ValueError, match="nothing to keep"):
        store.put("http://h/a", b"", **KEPT)
    with pytest.raises(ValueError, match="unknown kind 'video'"):
        ImageStore("x", "video")
