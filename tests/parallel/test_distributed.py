"""Processes join and, when one of them goes, all go: real processes over the loopback interface."""

import signal
import time

import pytest

from flamingo_jax.config import ConfigError
from flamingo_jax.parallel import distributed
from flamingo_jax.parallel.watch import STOPPED
from tests.parallel.processes import Processes

PROGRAM = "tests.parallel.joined_program"
FOREVER = "100000"


def wait_for_rounds(processes: Processes, number: int) -> None:
    for process in processes:
        for line in process.stdout:
            if line.startswith(f"round {number} "):
                break
        else:
            raise AssertionError(process.stderr.read())


def test_processes_join_and_end_together():
    with Processes(3, PROGRAM, ["3"]) as processes:
        ended = processes.finish(timeout=120)
    assert [status for status, _, _ in ended] == [0, 0, 0], ended
    for _, out, _ in ended:
        assert [line for line in out.splitlines() if line.startswith("round")] == [
            "round 0 6",
            "round 1 6",
            "round 2 6",
        ]


@pytest.mark.parametrize("killed", [0, 2])
def test_a_killed_process_stops_the_others_with_its_name(killed):
    with Processes(3, PROGRAM, [FOREVER]) as processes:
        wait_for_rounds(processes, 2)
        processes[killed].send_signal(signal.SIGKILL)
        start = time.monotonic()
        ended = processes.finish(timeout=60)
        assert time.monotonic() - start < 30
    for number, (status, _, said) in enumerate(ended):
        if number != killed:
            assert status == STOPPED, said
            assert f"error: process {killed} of 3" in said and "died: its connection closed" in said
            assert "run the same command again" in said


def test_a_process_that_hangs_is_missed():
    with Processes(2, PROGRAM, [FOREVER]) as processes:
        wait_for_rounds(processes, 2)
        processes[1].send_signal(signal.SIGSTOP)
        status, said = processes[0].wait(timeout=60), processes[0].stderr.read()
    assert status == STOPPED, said
    assert "process 1 of 2" in said and "nothing has been heard of it for" in said


def test_a_process_that_fails_tells_the_others_why():
    with Processes(3, PROGRAM, [FOREVER, "1", "no such file: x"]) as processes:
        ended = processes.finish(timeout=120)
    assert [status for status, _, _ in ended] == [STOPPED, 2, STOPPED], ended
    assert "own: no such file: x" in ended[1][2]
    for place in (0, 2):
        assert "process 1 of 3" in ended[place][2] and "failed: ConfigError: no such file: x" in ended[place][2]


def test_what_all_get_wrong_each_says_once():
    with Processes(2, PROGRAM, [FOREVER, "2", "wrong for all"]) as processes:
        ended = processes.finish(timeout=120)
    assert [status for status, _, _ in ended] == [2, 2], ended
    assert all("own: wrong for all" in said and "process" not in said.partition("own:")[2] for _, _, said in ended)


RIGHT = {"FLAMINGO_COORDINATOR": "host:1234", "FLAMINGO_NUM_PROCESSES": "4", "FLAMINGO_PROCESS_ID": "0"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"FLAMINGO_PROCESS_ID": None}, r"FLAMINGO_NUM_PROCESSES set, but not FLAMINGO_PROCESS_ID"),
        ({"FLAMINGO_COORDINATOR": ""}, r"but not FLAMINGO_COORDINATOR"),
        ({"FLAMINGO_COORDINATOR": "host"}, r"FLAMINGO_COORDINATOR is the host:port"),
        ({"FLAMINGO_NUM_PROCESSES": "0"}, r"FLAMINGO_NUM_PROCESSES is the number of processes, got '0'"),
        ({"FLAMINGO_NUM_PROCESSES": "two"}, r"got 'two'"),
        ({"FLAMINGO_PROCESS_ID": "4"}, r"FLAMINGO_PROCESS_ID is this process's number, from 0 to 3, got '4'"),
        ({"FLAMINGO_PROCESS_ID": "-1"}, r"got '-1'"),
    ],
)
def test_a_wrong_environment_is_told(monkeypatch, changes, message):
    for name, value in (RIGHT | changes).items():
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=message):
        distributed.initialize()


def test_several_processes_are_refused_where_one_works(monkeypatch):
    distributed.refuse_several("flamingo_jax.evaluate")
    monkeypatch.setenv("FLAMINGO_NUM_PROCESSES", "2")
    with pytest.raises(ConfigError, match=r"flamingo_jax\.evaluate runs in a single process, but FLAMINGO_NUM"):
        distributed.refuse_several("flamingo_jax.evaluate")
