"""Replacing a file only if it is still the one that was read, on file systems with and without what that takes."""

import errno
import os

import pytest

from flamingo_jax.training import lease_file
from flamingo_jax.training.lease import FILE
from flamingo_jax.training.lease_file import LocalFile, Outcome
from tests.training.leases import lease, outcomes


def test_exactly_one_of_many_replaces(tmp_path):
    for folder, said in outcomes("replace", tmp_path, 30, b"of a dead process"):
        assert sorted(said) == ["refused"] * 3 + ["won"]
        assert [path.name for path in folder.iterdir()] == [FILE]


@pytest.mark.parametrize("missing", ["links", "locks"])
def test_a_poor_file_system_is_used_as_an_object_store(tmp_path, monkeypatch, missing):
    """Outcomes are not certain there, and a claim is looked at again."""

    def refuse(*_):
        raise OSError(errno.EOPNOTSUPP, "not supported")

    if missing == "links":
        monkeypatch.setattr(os, "link", refuse)
    else:
        monkeypatch.setattr(lease_file.fcntl, "flock", refuse)
    file = LocalFile(tmp_path / FILE)
    assert file.replace(None, b"1") is (Outcome.WRITTEN if missing == "links" else Outcome.CERTAIN)
    assert file.replace(None, b"2") is Outcome.REFUSED
    assert file.replace(b"2", b"3") is Outcome.REFUSED
    assert file.replace(b"1", b"2") is (Outcome.CERTAIN if missing == "links" else Outcome.WRITTEN)
    assert [path.name for path in tmp_path.iterdir()] == [FILE] and file.read() == b"2"
    file.remove(b"1")
    file.remove(b"2")
    with lease(tmp_path) as held:
        held.check()


def test_a_lock_that_is_never_given_back_does_not_bar_the_way(tmp_path, monkeypatch):
    monkeypatch.setattr(lease_file, "_LOCK_SECONDS", 0.1)
    file = LocalFile(tmp_path / FILE)
    file.replace(None, b"1")
    with (tmp_path / FILE).open("r+b") as other:
        lease_file.fcntl.flock(other, lease_file.fcntl.LOCK_EX)
        assert file.replace(b"1", b"2") is Outcome.WRITTEN
    assert file.replace(b"2", b"3") is Outcome.CERTAIN


def test_a_forked_child_does_not_keep_the_lock(tmp_path, monkeypatch):
    file, kept = LocalFile(tmp_path / FILE), []
    file.replace(None, b"1")
    with monkeypatch.context() as child:
        child.setattr(os, "close", kept.append)  # as if a child had a copy
        assert file.replace(b"other", b"2") is Outcome.REFUSED
    assert kept
    assert file.replace(b"1", b"2") is Outcome.CERTAIN
    for descriptor in kept:
        os.close(descriptor)
