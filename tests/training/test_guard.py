"""What a run does about updates that go wrong: real steps with faults put into them."""

import dataclasses
import json
import time
from pathlib import Path

import jax
import numpy as np
import pytest

from flamingo_jax.data.stream import BatchStream
from flamingo_jax.training import loop
from flamingo_jax.training.checkpoints import CheckpointConfig, Checkpoints
from flamingo_jax.training.guard import Guard, HealthError
from flamingo_jax.training.health import HealthConfig
from flamingo_jax.training.host_batches import Sums
from flamingo_jax.training.position import Position
from tests.parallel.processes import Processes
from tests.training.train_program import shorter

STEPS = 12
BAD = 6  # the first update with a fault


def lines(workdir: Path) -> list[dict]:
    return [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]


def events(workdir: Path, name: str) -> list[dict]:
    return [line for line in lines(workdir) if line.get("event") == name]


class Killed(Exception):
    """Nothing more is done."""


@pytest.fixture(scope="module")
def compiled() -> dict:
    """Programs by what decides about them, so that each is compiled once."""
    return {}


@pytest.fixture
def run(tiny_config, monkeypatch, compiled):
    """Runs the tiny model with a fault: `run(workdir, health, fault)` gives the updates done.

    `fault` is what the frozen leaves are multiplied with in the programs of the calls `calls`, counted from 1; the run
    dies in that of `killed_at`.
    """

    def run(workdir: Path, health: HealthConfig, fault: float = 1.0, calls=(BAD,), killed_at: int = 0) -> int:
        config = shorter(tiny_config, STEPS)
        config = dataclasses.replace(config, health=health, checkpoints=CheckpointConfig(every=4))
        done = [0]

        def faulty(design, interrupt):
            if health not in compiled:
                compiled[health] = real(design, interrupt)

            def wrapped(program):
                def step(state, frozen, batch):
                    done[0] += 1
                    if done[0] == killed_at:
                        raise Killed
                    if done[0] in calls:
                        frozen = jax.tree.map(lambda leaf: leaf * np.asarray(fault, leaf.dtype), frozen)
                    return program(state, frozen, batch)

                return step

            return {name: wrapped(program) for name, program in compiled[health].items()}

        real = loop_compile_steps
        monkeypatch.setattr(loop, "compile_steps", faulty)
        return loop.train(config, str(workdir))

    return run


loop_compile_steps = loop.compile_steps


def losses(workdir: Path) -> list[tuple[int, float]]:
    return [(line["step"], line["loss"]) for line in lines(workdir) if "loss" in line]


@pytest.fixture(scope="module")
def calm(tiny_config, tmp_path_factory) -> list[tuple[int, float]]:
    """Losses of the run without a fault."""
    workdir = tmp_path_factory.mktemp("calm")
    loop.train(shorter(tiny_config, STEPS), str(workdir))
    return losses(workdir)


@pytest.mark.slow
def test_an_update_that_is_not_finite_is_skipped(run, tmp_path, calm):
    assert run(tmp_path, HealthConfig(nonfinite="skip"), np.nan) == STEPS
    (told,) = events(tmp_path, "nonfinite")
    assert (told["step"], told["data_step"], told["applied"]) == (BAD, BAD - 1, False)
    assert "not finite: " in told["message"] and "loss nan" in told["message"]
    assert len(told["records"]["pairs"]) == 4
    found = dict(losses(tmp_path))
    assert found[BAD] is None
    assert all(found[step] == loss for step, loss in calm if step < BAD)
    assert all(np.isfinite(found[step]) and found[step] != dict(calm)[step] for step in range(BAD + 1, STEPS + 1))
    assert [line["skipped_updates"] for line in lines(tmp_path) if "loss" in line] == [0] * 5 + [1] * 7


@pytest.mark.slow
def test_a_run_stops_at_what_is_not_finite_and_loses_nothing(run, tmp_path, calm):
    with pytest.raises(HealthError, match=rf"update {BAD}: not finite.*--workdir={tmp_path} --step={BAD}"):
        run(tmp_path, HealthConfig(), np.inf)
    (told,) = events(tmp_path, "stop")
    assert told["step"] == BAD and "not finite" in told["reason"]
    with Checkpoints(tmp_path, CheckpointConfig()) as checkpoints:
        assert checkpoints.latest == 4
    assert run(tmp_path, HealthConfig()) == STEPS  # the fault was that of a passing machine
    assert dict(losses(tmp_path)) == dict(calm)


@pytest.mark.slow
def test_a_run_goes_back_and_on_with_other_data(run, tmp_path, calm):
    assert run(tmp_path, HealthConfig(nonfinite="roll_back"), np.nan) == STEPS
    (told,) = events(tmp_path, "rollback")
    # The verdict comes when the next update is under way, so its data are passed over as well.
    assert (told["step"], told["to"], told["data_step"]) == (BAD + 1, 4, BAD + 1)
    seen = [step for step, _ in losses(tmp_path)]
    assert seen[: BAD + 1] == list(range(1, BAD + 2)) and seen[BAD + 1 :] == list(range(5, STEPS + 1))
    with Checkpoints(tmp_path, CheckpointConfig()) as checkpoints:
        facts = checkpoints.facts(STEPS)
        assert (facts["step"], facts["data_step"], facts["roll_backs"]) == (STEPS, STEPS + 3, 1)
        assert checkpoints.steps == [4, 8, STEPS]


@pytest.mark.slow
def test_what_a_rollback_skipped_stays_skipped(run, tmp_path):
    health = HealthConfig(nonfinite="roll_back")
    assert run(tmp_path / "whole", health, np.nan) == STEPS
    with pytest.raises(Killed):
        run(tmp_path / "killed", health, np.nan, killed_at=BAD + 3)  # one update after it went back, before it saved
    assert run(tmp_path / "killed", health) == STEPS
    whole, killed = (dict(losses(tmp_path / name)) for name in ("whole", "killed"))
    assert whole == killed
    with Checkpoints(tmp_path / "killed", CheckpointConfig()) as checkpoints:
        facts = checkpoints.facts(STEPS)
    assert (facts["data_step"], facts["roll_backs"]) == (STEPS + 3, 1)


@pytest.mark.slow
def test_a_run_that_goes_back_too_often_stops(run, tmp_path):
    health = HealthConfig(nonfinite="roll_back", max_roll_backs=2)
    with pytest.raises(HealthError, match=r"went back 2 times already \(HealthConfig.max_roll_backs\)"):
        run(tmp_path, health, np.nan, calls=range(BAD, 100))
    assert len(events(tmp_path, "rollback")) == 2


@pytest.mark.slow
def test_a_run_that_skips_too_many_in_a_row_stops(run, tmp_path):
    with pytest.raises(HealthError, match="4 updates in a row were not applied, up to update 9"):
        run(tmp_path, HealthConfig(nonfinite="skip", max_skips=3), np.nan, calls=range(BAD, 100))


@pytest.mark.slow
def test_a_spike_is_seen_and_skipped(run, tmp_path, calm):
    health = HealthConfig(spike="skip", spike_after=4, spike_deviations=3.0, spike_floor=0.2)
    assert run(tmp_path, health, 12.0) == STEPS
    (told,) = events(tmp_path, "spike")
    assert (told["step"], told["applied"]) == (BAD, False)
    assert "loss/pairs" in told["message"] and "running mean" in told["message"]
    assert dict(losses(tmp_path))[BAD] > 1.5 * dict(calm)[BAD]


@pytest.mark.slow
def test_a_loader_that_starves_the_devices_is_told_of(run, tmp_path, monkeypatch):
    monkeypatch.setattr(BatchStream, "timed", lambda self, _: (time.sleep(0.2), (next(self), 0.2))[1])
    assert run(tmp_path, HealthConfig(host_window=6)) == STEPS
    told = events(tmp_path, "starving")
    assert [entry["step"] for entry in told] == [6, 12]  # once in a window
    assert "process 0 waits 0." in told[0]["message"] and "for data" in told[0]["message"]
    assert not events(tmp_path, "straggler")
    last = [line for line in lines(tmp_path) if "loss" in line][-1]
    assert last["badput/data"] > 0.05 and last["data_wait"] > 0.19


@pytest.mark.slow
def test_a_loader_that_starves_may_stop_the_run(run, tmp_path, monkeypatch):
    monkeypatch.setattr(BatchStream, "timed", lambda self, _: (time.sleep(0.2), (next(self), 0.2))[1])
    with pytest.raises(HealthError, match=r"update 6: process 0 waits .*HealthConfig.starving"):
        run(tmp_path, HealthConfig(host_window=6, starving="stop"))


@pytest.mark.slow
@pytest.mark.parametrize("where", ["before", "after", "data", "nowhere"])
def test_a_slow_host_is_named(tiny_gin, tmp_path, where):
    seconds, place = ("0.3", where) if where != "nowhere" else ("0", "before")
    arguments = [str(tiny_gin), str(tmp_path), "12", seconds, place]
    with Processes(2, "tests.training.slow_program", arguments) as processes:
        ended = processes.finish(400)
    assert [status for status, _, _ in ended] == [0, 0], ended
    late, starving = events(tmp_path, "straggler"), events(tmp_path, "starving")
    assert bool(late) == (where in ("before", "after")) and bool(starving) == (where == "data")
    for told in (*late, *starving):
        # Once there are eight updates to judge by, or a little later where the machine itself is slow.
        assert 8 <= told["step"] <= 12 and told["message"].startswith("process 1 ")
        assert told["message"] in ended[0][2]


class NoMixture:
    """A mixture of which nothing is asked."""

    class schedule:
        datasets = staticmethod(lambda step: ())


def guard(health: HealthConfig) -> tuple[Guard, list]:
    told = []
    return Guard(health, NoMixture(), "W", lambda name, step, **facts: told.append((name, step, facts))), told


def sums(times: list[tuple[float, float, float]]) -> Sums:
    """Of hosts that (starve, keep devices waiting, take for a step) so many seconds."""
    milliseconds = (np.array(times) * 1000).astype(int).ravel().tolist()
    return Sums(np.array([0, 0, *milliseconds, 7, 8, 9]), ["a"])


def feed(health: HealthConfig, times: list[tuple[float, float, float]], steps: int = 10) -> list:
    watch, told = guard(health)
    for step in range(1, steps + 1):
        assert not watch.record(step, step - 1, {"health": 0}, sums(times))
    return told


def test_the_host_that_is_late_is_named():
    quick, slow = (0.0, 0.001, 0.5), (0.0, 0.3, 0.5)
    ((name, step, facts),) = feed(HealthConfig(host_window=10), [quick, quick, slow, quick])
    assert (name, step) == ("straggler", 10)
    assert facts["message"].startswith("process 2 keeps the devices waiting 0.300 s of each step of 0.500 s")


def test_hosts_that_are_late_together_are_no_stragglers():
    assert not feed(HealthConfig(host_window=10), [(0.0, 0.2, 0.5)] * 4)


def test_little_is_no_straggler():
    assert not feed(HealthConfig(host_window=10), [(0.0, 0.04, 0.5), (0.0, 0.001, 0.5)])


def test_waiting_for_data_is_told_of_as_such():
    told = feed(HealthConfig(host_window=10), [(0.0, 0.001, 0.5), (0.3, 0.301, 0.5)])
    assert [(name, step) for name, step, _ in told] == [("starving", 10)]
    assert "process 1 waits 0.300 s" in told[0][2]["message"]


def test_one_slow_step_is_not_told_of():
    watch, told = guard(HealthConfig(host_window=10))
    for step in range(1, 30):
        late = 2.0 if step == 15 else 0.0
        watch.record(step, step - 1, {"health": 0}, sums([(0.0, 0.0, 2.0), (0.0, late, 2.0)]))
    assert not told


def test_a_run_that_went_back_often_enough_stops():
    watch, told = guard(HealthConfig(max_roll_backs=3))
    watch.check_roll_back(Position(step=8, roll_backs=2))
    with pytest.raises(HealthError, match="3 times already"):
        watch.check_roll_back(Position(step=8, roll_backs=3))
    assert told[0][0] == "stop"
