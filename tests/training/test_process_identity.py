"""Only a process that surely runs no more counts as dead."""

import os

import pytest

from flamingo_jax.training.process_identity import identity, surely_dead


@pytest.mark.parametrize(
    "changes, dead",
    [
        ({}, False),
        ({"started": 1}, True),
        ({"started": 1, "boot": "of another machine"}, False),
        ({"started": 1, "namespaces": ["pid:[1]"]}, False),
    ],
)
def test_only_what_is_sure_counts_as_dead(changes, dead):
    assert surely_dead(os.getpid(), identity() | changes) is dead


def test_a_process_without_identity_is_never_surely_dead(monkeypatch):
    gone = 2**22 + 1  # above the largest number that Linux gives
    assert surely_dead(gone, identity())
    assert not surely_dead(gone, {})
    monkeypatch.setattr(os, "kill", lambda *_: (_ for _ in ()).throw(PermissionError()))
    assert not surely_dead(gone, identity())  # another user's, hidden in /proc
