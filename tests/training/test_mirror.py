"""Files that grow in a store that cannot append."""

import time

import pytest
from etils import epath

from flamingo_jax.training import mirror
from flamingo_jax.training.mirror import Mirror, is_local
from tests.patience import until
from tests.training.stores import object_store  # noqa: F401

TARGET = epath.Path("gs://bucket/run")


@pytest.fixture(autouse=True)
def local_copies(tmp_path, monkeypatch):
    """Copies that are left behind are left in the test's folder."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


def test_the_store_of_the_tests_cannot_append(object_store):  # noqa: F811
    with pytest.raises(OSError), (TARGET / "file").open("a") as file:
        file.write("x")


def test_is_local(tmp_path):
    assert is_local(tmp_path) and is_local("runs/one")
    assert not is_local(TARGET)


def test_what_was_there_is_kept_and_what_is_new_comes_at_the_end(object_store):  # noqa: F811
    (TARGET / "metrics.jsonl").write_text("old\n")
    copy = Mirror(TARGET)
    with copy.fetch("metrics.jsonl").open("a") as file:
        file.write("new\n")
    (copy.folder / "tensorboard").mkdir()
    (copy.folder / "tensorboard" / "events").write_bytes(b"\x00\xff")
    assert (TARGET / "metrics.jsonl").read_text() == "old\n"
    copy.close()
    assert (TARGET / "metrics.jsonl").read_text() == "old\nnew\n"
    assert (TARGET / "tensorboard" / "events").read_bytes() == b"\x00\xff"
    assert not copy.folder.exists()


def test_it_comes_at_intervals_and_only_what_has_grown(object_store):  # noqa: F811
    copy = Mirror(TARGET, interval=0.02)
    path = copy.fetch("metrics.jsonl")
    (copy.folder / "still").write_text("x")
    path.write_text("one\n")
    until(lambda: (TARGET / "metrics.jsonl").exists() and (TARGET / "metrics.jsonl").read_text() == "one\n")
    with path.open("a") as file:
        file.write("two\n")
    until(lambda: (TARGET / "metrics.jsonl").read_text() == "one\ntwo\n")
    copy.close()
    assert sum(written.endswith("still") for written in object_store.writes) == 1


def test_a_store_that_is_away_is_tried_again_and_told_of_once(object_store, caplog):  # noqa: F811
    copy = Mirror(TARGET, interval=0.02)
    object_store.away = True
    copy.fetch("metrics.jsonl").write_text("one\n")
    with caplog.at_level("WARNING", "flamingo_jax"):
        until(lambda: caplog.messages)
        time.sleep(0.1)
    (said,) = caplog.messages
    assert "gs://bucket/run" in said and "cannot be reached" in said
    object_store.away = False
    until(lambda: (TARGET / "metrics.jsonl").exists())
    copy.close()
    assert (TARGET / "metrics.jsonl").read_text() == "one\n"


def test_if_the_store_stays_away_the_files_stay_here(object_store, caplog, monkeypatch):  # noqa: F811
    monkeypatch.setattr(mirror, "_PAUSE", 0.0)
    copy = Mirror(TARGET)
    path = copy.fetch("metrics.jsonl")
    path.write_text("one\n")
    object_store.away = True
    with caplog.at_level("WARNING", "flamingo_jax"):
        copy.close()
    assert str(copy.folder) in caplog.text and path.read_text() == "one\n"
