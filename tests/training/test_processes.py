"""Runs of several processes: real ones over the loopback interface train as one does, and stop and resume together."""

import json
import signal
import time
from pathlib import Path

import jax
import numpy as np
import pytest

from flamingo_jax.parallel.watch import STOPPED
from flamingo_jax.training.checkpoints import CheckpointConfig, Checkpoints
from flamingo_jax.training.loop import train
from tests.parallel.processes import Processes
from tests.training.train_program import shorter

PROGRAM = "tests.training.train_program"
STEPS = 4
TIME = 400  # seconds, for a machine that has other things to do


def losses(workdir: Path) -> dict[int, float]:
    lines = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    return {line["step"]: line["loss"] for line in lines if "loss" in line}


def assert_close(workdir: Path, expected: Path, steps: int) -> None:
    ours, theirs = losses(workdir), losses(expected)
    assert sorted(ours) == list(range(1, steps + 1))
    np.testing.assert_allclose([ours[step] for step in ours], [theirs[step] for step in ours], rtol=1e-5)


@pytest.fixture(scope="module")
def alone(tiny_config, tmp_path_factory) -> Path:
    """The workdir of a run of one process, of twice as many steps."""
    workdir = tmp_path_factory.mktemp("alone")
    assert train(shorter(tiny_config, 2 * STEPS), str(workdir)) == 2 * STEPS
    return workdir


def run(count: int, *arguments: object) -> list[str]:
    """The rows that each of `count` processes says it reads; all of them must end well."""
    with Processes(count, PROGRAM, list(map(str, arguments))) as processes:
        ended = processes.finish(TIME)
    assert [status for status, _, _ in ended] == [0] * count, "\n".join(said for _, _, said in ended)
    return [next(line for line in out.splitlines() if line.startswith("rows")) for _, out, _ in ended]


def wait_for_step(processes: Processes, workdir: Path, step: int) -> None:
    deadline = time.monotonic() + TIME
    while time.monotonic() < deadline:
        path = workdir / "metrics.jsonl"
        if path.exists() and f'"step": {step},' in path.read_text():
            return
        for process in processes:
            assert process.poll() is None, process.stderr.read()
        time.sleep(0.02)
    raise AssertionError(f"no step {step} in time")


@pytest.mark.slow
def test_two_processes_train_as_one(tiny_gin, alone, tmp_path):
    assert run(2, tiny_gin, tmp_path, STEPS, "data=2") == ["rows [0, 1]", "rows [2, 3]"]
    assert_close(tmp_path, alone, STEPS)
    lines = [
        [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()] for path in (tmp_path, alone)
    ]
    for ours, theirs in zip(*lines, strict=False):
        assert ours["tokens"] == theirs["tokens"] and ours["skipped/pairs"] == theirs["skipped/pairs"]
    with Checkpoints(tmp_path, CheckpointConfig()) as checkpoints:
        assert checkpoints.latest == STEPS


@pytest.mark.slow
def test_processes_of_one_tensor_group_read_the_same_rows(tiny_gin, alone, tmp_path):
    assert run(2, tiny_gin, tmp_path, STEPS, "data=1", "tensor=2") == ["rows [0, 1, 2, 3]"] * 2
    assert_close(tmp_path, alone, STEPS)


@pytest.mark.slow
def test_one_that_is_asked_to_stop_stops_all_and_one_goes_on(tiny_gin, tiny_config, alone, tmp_path):
    with Processes(2, PROGRAM, [str(tiny_gin), str(tmp_path), "100000", "data=1", "fsdp=2"]) as processes:
        wait_for_step(processes, tmp_path, 2)
        processes[1].send_signal(signal.SIGTERM)
        ended = processes.finish(TIME)
    assert [status for status, _, _ in ended] == [130, 130], ended
    assert "run the same command again" in ended[0][2]
    stopped = max(losses(tmp_path))
    with Checkpoints(tmp_path, CheckpointConfig()) as checkpoints:
        assert checkpoints.latest == stopped
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == [str(stopped)]
    steps = max(stopped + 2, 2 * STEPS)
    assert train(shorter(tiny_config, steps), str(tmp_path)) == steps
    shared = losses(alone).keys()
    ours = losses(tmp_path)
    assert sorted(ours) == list(range(1, steps + 1))
    np.testing.assert_allclose([ours[step] for step in shared], [losses(alone)[step] for step in shared], rtol=1e-5)


@pytest.mark.slow
def test_a_killed_process_stops_four_and_two_go_on(tiny_gin, alone, tmp_path):
    arguments = [str(tiny_gin), str(tmp_path)]
    assert run(4, *arguments, STEPS, "data=2", "tensor=2") == ["rows [0, 1]"] * 2 + ["rows [2, 3]"] * 2
    with Processes(4, PROGRAM, [*arguments, "100000", "data=2", "tensor=2"]) as processes:
        wait_for_step(processes, tmp_path, STEPS + 1)
        processes[2].send_signal(signal.SIGKILL)
        start = time.monotonic()
        ended = processes.finish(TIME)
        assert time.monotonic() - start < 60
    assert [status for status, _, _ in ended] == [STOPPED, STOPPED, -signal.SIGKILL, STOPPED], ended
    assert all("process 2 of 4" in ended[place][2] for place in (0, 1, 3))
    assert run(2, *arguments, 2 * STEPS, "data=2") == ["rows [0, 1]", "rows [2, 3]"]
    ours = losses(tmp_path)  # a step that stands twice counts as it came last
    shared = range(1, 2 * STEPS + 1)
    np.testing.assert_allclose([ours[step] for step in shared], [losses(alone)[step] for step in shared], rtol=1e-5)
    assert jax.process_count() == 1
