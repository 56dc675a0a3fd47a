"""What a lease's file says, and how its size tells nothing."""

import dataclasses

import pytest

from flamingo_jax.training.lease_claim import Claim

CLAIM = Claim(token="a1", host="h", pid=7, process={"boot": "b"}, since=1.79e9, timeout=60.0)


@pytest.mark.parametrize("changes", [{}, {"beat": 10**9}, {"host": "a-long-name" * 20}, {"process": {}}])
def test_comes_back_as_it_was_and_always_in_one_size(changes):
    claim = dataclasses.replace(CLAIM, **changes)
    assert Claim.parse(claim.text()) == claim
    assert len(claim.text()) == len(CLAIM.text())


@pytest.mark.parametrize(
    "changes", [{"token": 1}, {"pid": "7"}, {"process": []}, {"timeout": float("nan")}, {"since": None}]
)
def test_what_makes_no_sense_is_no_claim(changes):
    assert Claim.parse(dataclasses.replace(CLAIM, **changes).text()) is None


def test_fields_of_later_versions_are_passed_over():
    text = CLAIM.text().replace(b"{", b'{"later": 1, ', 1)
    assert Claim.parse(text) == CLAIM


def test_people_can_read_it():
    assert str(CLAIM) == "process 7 on h (since 2026-09-21 14:13:20 UTC)"
    assert "unknown time" in str(dataclasses.replace(CLAIM, since=1e300))
