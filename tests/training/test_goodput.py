"""Where the wall time goes, on a clock that the tests set."""

import pytest

from flamingo_jax.training.goodput import Goodput
from tests.training.clocks import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock(1000.0)


@pytest.fixture
def goodput(clock) -> Goodput:
    return Goodput(clock)


def test_time_goes_to_the_phase_that_it_is_spent_in(clock, goodput):
    clock.passes(1)
    with goodput.phase("restore"):
        clock.passes(2)
    clock.passes(3)
    goodput.begin()
    clock.passes(10)
    with goodput.phase("save"):
        clock.passes(4)
    clock.passes(5)
    assert goodput.seconds() == {"setup": 4, "restore": 2, "step": 15, "save": 4}
    assert goodput.stepping == 15
    assert goodput.shares() == pytest.approx(
        {"goodput": 15 / 25, "badput/setup": 4 / 25, "badput/restore": 2 / 25, "badput/save": 4 / 25}
    )


def test_a_phase_within_another_takes_its_time_out_of_it(clock, goodput):
    goodput.begin()
    with goodput.phase("rollback"):
        clock.passes(1)
        with goodput.phase("restore"):
            clock.passes(20)
        clock.passes(2)
        assert goodput.seconds()["rollback"] == 3  # while it goes on
    assert goodput.seconds() == {"setup": 0, "step": 0, "rollback": 3, "restore": 20}


def test_a_phase_that_fails_ends_too(clock, goodput):
    goodput.begin()
    with pytest.raises(OSError), goodput.phase("save"):
        clock.passes(1)
        raise OSError
    clock.passes(1)
    assert goodput.seconds()["step"] == goodput.seconds()["save"] == 1


def test_lost_time_was_there_before(clock, goodput):
    goodput.begin()
    clock.passes(6)
    goodput.lose(2, "skipped")
    goodput.lose(-1, "skipped")
    assert goodput.seconds() == {"setup": 0, "step": 4, "skipped": 2}
    goodput.lose(5, "rolled_back")
    assert goodput.seconds() == {"setup": 0, "step": 0, "skipped": 2, "rolled_back": 4}
    assert goodput.stepping == 6
    assert sum(goodput.shares().values()) == pytest.approx(1)


def test_going_back_loses_what_came_after_a_noted_step_and_nothing_twice(clock, goodput):
    goodput.begin()
    clock.passes(10)
    goodput.note(100)
    clock.passes(7)
    goodput.lose(3, "data")
    goodput.note(200)
    clock.passes(1)
    goodput.lose_since(100, "rolled_back")
    assert goodput.seconds() == {"setup": 0, "step": 10, "data": 3, "rolled_back": 5}
    clock.passes(2)
    goodput.lose_since(200, "rolled_back")  # is forgotten: everything of this process
    assert goodput.seconds() == {"setup": 0, "step": 0, "data": 3, "rolled_back": 17}


def test_before_any_time_has_passed_all_is_well(goodput):
    assert goodput.shares() == {"goodput": 1.0}
