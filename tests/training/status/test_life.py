"""What a run's lease, its events and its last line make of its state."""

import json
import os
import subprocess
import sys

import pytest
from etils import epath

from flamingo_jax.training.history import History, Record
from flamingo_jax.training.lease import Lease as RealLease
from flamingo_jax.training.status.life import Lease, life, read_lease

NOW = 10_000.0
LINES = [Record(0, 9000.0, "start", {}), Record(1, 9000.0, "", {}), Record(2, 9010.0, "", {})]


def lease(age: float | None = 10.0, dead: bool = False) -> Lease:
    return Lease("process 7 on host-3", age, 60.0, dead)


def event(name: str, time: float = 9900.0, **facts) -> Record:
    return Record(2, time, name, facts)


@pytest.mark.parametrize(
    "records, held, state, why",
    [
        ([*LINES, event("saved")], lease(), "running", "process 7 on host-3"),
        (LINES, lease(), "running", "process 7 on host-3; nothing was logged for 16 min 30 s"),
        ([], lease(), "running", "process 7 on host-3; no step is logged yet"),
        ([*LINES, event("end")], lease(), "running", ""),  # started again, and not yet as far as its "start"
        (LINES, lease(age=None), "died", "process 7 on host-3"),
        ([*LINES, event("saved")], lease(age=None), "running", ""),
        (LINES, lease(age=181.0), "died", "process 7 on host-3 has given no sign for 3 min 1 s"),
        (LINES, lease(dead=True), "died", "process 7 on host-3 is gone"),
        ([*LINES, event("end")], None, "finished", "1 min 40 s ago"),
        ([*LINES, event("end")], lease(dead=True), "finished", ""),
        ([*LINES, event("stop", reason="SIGTERM")], None, "stopped", "SIGTERM"),
        ([*LINES, event("stopped")], None, "stopped", ""),
        ([*LINES, event("stop"), event("start")], None, "died", "without a word"),
        (LINES, None, "died", "without a word"),
        ([], None, "not started", "nothing was logged"),
    ],
)
def test_state(records, held, state, why):
    found = life(History(records), 100, held, NOW)
    assert found.state == state and why in found.why


def test_all_steps_done_is_finished_whatever_was_written():
    assert life(History(LINES), 2, None, NOW).state == "finished"
    assert life(History(LINES), None, None, NOW).state == "died"


def test_a_real_lease(tmp_path):
    path = epath.Path(tmp_path) / "lease.json"
    assert read_lease(path, 0.0) is None
    with RealLease(epath.Path(tmp_path), settle_seconds=0.01):
        found = read_lease(path, path.stat().mtime + 5)
        assert found.holder.startswith(f"process {os.getpid()} on ")
        assert (found.age, found.timeout, found.dead) == (5.0, 60.0, False)
    program = (
        "import os, sys; from etils import epath; from flamingo_jax.training.lease import Lease\n"
        "Lease(epath.Path(sys.argv[1]), settle_seconds=0.01).__enter__(); os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True, timeout=60)
    assert read_lease(path, 0.0).dead


@pytest.mark.parametrize("text", ["", "{", "[]", json.dumps({"pid": 3}), '{"timeout": "long"}'])
def test_half_a_lease_is_one_too(tmp_path, text):
    path = epath.Path(tmp_path) / "lease.json"
    path.write_text(text)
    found = read_lease(path, path.stat().mtime)
    assert (found.timeout, found.dead) == (60.0, False)
    assert ("process 3" in found.holder) == ("3" in text)
