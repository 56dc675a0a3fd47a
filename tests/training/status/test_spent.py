"""Where the time of a run went, over its restarts, against sums by hand."""

import pytest

from flamingo_jax.training.history import Record
from flamingo_jax.training.status.spent import spent


def start(time, **facts):
    return Record(0, time, "start", facts)


def line(step, time, **values):
    return Record(step, time, "", {"step_seconds": 2.0} | values)


def test_one_process():
    booked = {"goodput": 0.7, "badput/setup": 0.2, "badput/save": 0.1}
    found = spent([start(1000.0), line(1, 1050.0, **{"badput/setup": 0.9}), line(2, 1100.0, **booked)])
    assert found.seconds == 100
    assert found.lost == pytest.approx({"setup": 20, "save": 10})
    assert found.goodput == pytest.approx(0.7)


def test_a_killed_run_loses_what_it_did_after_its_checkpoint_and_the_time_until_it_is_started_again():
    records = [start(0.0), *(line(step, 10.0 * step) for step in (10, 20, 30))]
    records += [start(350.0), Record(20, 351.0, "resume", {}), line(30, 450.0, **{"badput/restore": 0.5})]
    found = spent(records)
    assert found.seconds == 450
    # 10 updates of 2 s after step 20; 50 s without a process; half of the second one's 100 s.
    assert found.lost == pytest.approx({"given_up": 20, "down": 50, "restore": 50})


def test_what_is_given_up_was_useful_before():
    records = [start(0.0), line(10, 100.0, step_seconds=50.0, **{"badput/save": 0.4})]
    records += [start(100.0), Record(0, 100.0, "resume", {}), line(1, 200.0)]
    assert spent(records).lost == pytest.approx({"given_up": 60, "save": 40})


def test_a_process_that_logged_no_step_was_all_setup():
    found = spent([start(0.0), start(40.0), line(1, 100.0)])
    assert found.lost == {"down": 40.0}
    assert spent([start(0.0), Record(0, 30.0, "compiled", {}), start(40.0), line(1, 100.0)]).lost == pytest.approx(
        {"setup": 30, "down": 10}
    )


def test_a_process_has_worked_before_it_says_so():
    records = [start(100.0, seconds=40.0), line(1, 160.0, **{"badput/setup": 0.5})]
    records += [start(200.0, seconds=30.0), line(2, 260.0), start(270.0, seconds=1e9), line(3, 300.0)]
    found = spent(records)
    assert found.seconds == 240
    assert found.lost == pytest.approx({"setup": 50, "down": 10})


@pytest.mark.parametrize("records", [[], [Record(1, None, "", {"loss": 1.0})], [start(5.0)]])
def test_without_times_nothing_is_known(records):
    assert spent(records) is None
