"""What a run writes of its steps, and when: one step late, without waiting for the devices."""

import contextlib
import json
import threading
import types

import numpy as np
import pytest

from flamingo_jax.training import completion
from flamingo_jax.training.goodput import Goodput
from flamingo_jax.training.health import SKIPPED
from flamingo_jax.training.host_batches import Idle
from flamingo_jax.training.step_log import SilentLog, StepLog
from flamingo_jax.training.utilization import Utilization
from tests.training.clocks import Clock

SUMS = types.SimpleNamespace(tokens=100, skipped={"m3w": 1})
DEVICES = [types.SimpleNamespace(device_kind="TPU v4", process_index=0, memory_stats=lambda: None)] * 2


class Slow:
    """An array that is there when the test says so."""

    def __init__(self, value: float):
        self.value, self.there = value, threading.Event()

    def __float__(self) -> float:
        assert self.there.is_set(), "it was read before it was there"
        return self.value


@pytest.fixture(autouse=True)
def slow_arrays(monkeypatch):
    """JAX waits for `Slow` as for an array."""
    fake = types.SimpleNamespace(block_until_ready=lambda x: x.there.wait(10) if isinstance(x, Slow) else x)
    monkeypatch.setattr(completion, "jax", fake)


@pytest.fixture
def stack():
    with contextlib.ExitStack() as stack:
        yield stack


def lines(workdir) -> list[dict]:
    return [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]


def steps(workdir) -> list[dict]:
    return [line for line in lines(workdir) if "event" not in line]


def test_a_line_is_written_when_the_next_step_is_given_and_never_waits_for_that(tmp_path, stack):
    log = StepLog(stack, tmp_path, 0, 100, 1)
    first, second = Slow(3.0), Slow(2.0)
    log.record(1, {"loss": first}, SUMS)
    assert not steps(tmp_path)
    first.there.set()
    log.record(2, {"loss": second}, SUMS)  # returns, though the second is not there
    assert [(line["step"], line["loss"]) for line in steps(tmp_path)] == [(1, 3.0)]
    second.there.set()
    log.flush()
    log.flush()
    assert [line["step"] for line in steps(tmp_path)] == [1, 2]


def test_speeds_are_means_of_the_steps_since_the_last_line_without_phases(tmp_path, stack):
    clock = Clock()
    goodput = Goodput(clock)
    flops = {("m3w",): 550e12, ("pairs",): 1650e12}
    log = StepLog(stack, tmp_path, 0, 100, 2, goodput=goodput, utilization=Utilization(flops, DEVICES), clock=clock)
    clock.passes(50)
    goodput.begin()
    for step in range(1, 5):
        with goodput.phase("save"):
            clock.passes(1000)
        log.record(step, {"loss": np.float32(step)}, SUMS, kind=("m3w",) if step % 2 else ("pairs",))
        clock.passes(4)
    log.flush()
    line = steps(tmp_path)[-1]
    assert line["step"] == 4
    assert line["step_seconds"] == 4
    assert line["tokens_per_second"] == 25
    assert line["model_tflops_per_second"] == pytest.approx((550 + 1650) / 8 / 2)
    assert line["mfu"] == pytest.approx((550 + 1650) / 8 / 2 / 275)
    assert (line["tokens"], line["skipped/m3w"]) == (100, 2)
    shares = {name: line[name] for name in line if name.startswith(("goodput", "badput/"))}
    assert shares == pytest.approx({"goodput": 16 / 4066, "badput/setup": 50 / 4066, "badput/save": 4000 / 4066})


def test_the_time_of_an_update_that_was_not_applied_is_lost(tmp_path, stack):
    clock = Clock()
    goodput = Goodput(clock)
    goodput.begin()
    log = StepLog(stack, tmp_path, 0, 10, 1, goodput=goodput, clock=clock)
    for step in range(1, 5):
        log.record(step, {"loss": 1.0, "health": np.int32(SKIPPED if step == 3 else 0)}, SUMS)
        clock.passes(5)
    log.flush()
    assert goodput.seconds() == {"setup": 0, "step": 15, "skipped": 5}


def test_counts_and_metrics_of_all_datasets_stand_in_a_line(tmp_path, stack):
    log = StepLog(stack, tmp_path, 0, 2, 10)
    seen = {"tokens/m3w": 5, "tokens/pairs": 7, "images/m3w": 2, "images/pairs": 1}
    log.record(1, {"loss": 1.0, "loss/m3w": 4.0, "health": np.int32(0)}, SUMS, seen)
    seen["tokens/m3w"] = 50  # the loop's own count goes on
    log.record(2, {"loss": 1.0, "loss/pairs": 3.0}, SUMS, seen)
    log.flush()
    first, last = steps(tmp_path)
    assert (first["tokens_seen"], first["images_seen"], first["tokens_seen/m3w"], first["images_seen/pairs"]) == (
        12, 3, 5, 1,
    )  # fmt: skip
    assert last["tokens_seen"] == 57 and "health" not in first
    assert ("loss/m3w" in first, "loss/m3w" in last, "loss/pairs" in last) == (True, False, True)


def test_events_of_the_start_and_of_a_resume(tmp_path, stack):
    StepLog(stack, tmp_path, 0, 10, 1)
    StepLog(stack, tmp_path, 0, 10, 1, facts={"data_step": 0})  # killed before there was another checkpoint
    StepLog(stack, tmp_path, 7, 10, 1, facts={"data_step": 9})
    first, _, again, second, resume = lines(tmp_path)
    assert (first["event"], first["step"], second["step"]) == ("start", 0, 7)
    assert (again["event"], again["step"], again["data_step"]) == ("resume", 0, 0)
    assert {"host", "processes", "devices", "device_kind", "time", "seconds"} <= first.keys()
    assert (resume["event"], resume["step"], resume["data_step"]) == ("resume", 7, 9)


def test_a_rollback_comes_after_the_updates_that_it_gives_up(tmp_path, stack):
    log = StepLog(stack, tmp_path, 0, 10, 1)
    for step in (1, 2, 3):
        log.record(step, {"loss": 1.0}, SUMS)
    log.event("rollback", 3, to=1, data_step=3)
    log.record(2, {"loss": 9.0}, SUMS)
    log.flush()
    assert [line.get("event", line["step"]) for line in lines(tmp_path)] == ["start", 1, 2, 3, "rollback", 2]


@pytest.mark.parametrize("make", [lambda stack, path, clock: SilentLog(stack, clock),
                                  lambda stack, path, clock: StepLog(stack, path, 0, 10, 1, clock=clock)])  # fmt: skip
def test_a_wait_for_data_is_lost_only_as_far_as_the_devices_had_nothing_to_do(tmp_path, stack, make):
    clock = Clock()
    log = make(stack, tmp_path, clock)
    losses = [Slow(1.0) for _ in range(4)]
    assert log.record(1, {"loss": losses[0]}, SUMS, data_wait=3.0) == (3.0, 3.0)  # nothing ran before it

    def given(number: int, *, done_at: float, given_at: float, wait: float) -> Idle:
        """Gives the next update at a time, when the one before was done at another."""
        if done_at < given_at:
            clock.now = done_at
            losses[number - 1].there.set()
            log.flush()
        clock.now = given_at
        if done_at > given_at:
            threading.Timer(0.05, losses[number - 1].there.set).start()
        return log.record(number + 1, {"loss": losses[number]}, SUMS, data_wait=wait)

    assert given(1, done_at=10, given_at=12, wait=5.0) == (2.0, 2.0)  # 3 of 5 seconds were hidden
    assert given(2, done_at=20, given_at=25, wait=1.0) == (1.0, 5.0)  # the rest went elsewhere
    assert given(3, done_at=31, given_at=30, wait=9.0) == (0.0, 0.0)
    losses[3].there.set()


def test_the_books_have_the_waits_for_data(tmp_path, stack):
    clock = Clock()
    goodput = Goodput(clock)
    goodput.begin()
    log = StepLog(stack, tmp_path, 0, 10, 1, goodput=goodput, clock=clock)
    clock.passes(8)
    log.record(1, {"loss": 1.0}, SUMS, data_wait=2.0)
    assert goodput.seconds() == {"setup": 0, "step": 6, "data": 2}
