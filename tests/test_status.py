"""The status command as a user runs it."""

import json
import subprocess
import sys

import pytest
from etils import epath

from tests.training.status import runs

PROGRAM = """
import sys
from flamingo_jax import command_line, status

sys.argv[0] = "status"
try:
    command_line.run(status.main, positional=True)
finally:
    from jax._src import xla_bridge
    assert not xla_bridge._backends, "a backend was started"
"""


@pytest.fixture
def workdir(tmp_path) -> epath.Path:
    path = epath.Path(tmp_path) / "run"
    runs.write(path, [runs.START, runs.line(1), runs.line(2)])
    return path


def status(*arguments) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "flamingo_jax.status", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_the_workdir_is_an_argument_or_a_flag_and_stays_as_it_is(workdir):
    before = {path: path.stat().mtime for path in workdir.iterdir()}
    first, second = status(workdir), status(f"--workdir={workdir}", "--json")
    assert (first.returncode, first.stderr) == (0, "")
    assert "step 2 of 400" in first.stdout
    assert json.loads(second.stdout)["step"] == 2
    assert {path: path.stat().mtime for path in workdir.iterdir()} == before


def test_no_device_is_touched(workdir):
    done = subprocess.run([sys.executable, "-c", PROGRAM, str(workdir)], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert "step 2 of 400" in done.stdout


@pytest.mark.parametrize("arguments", [(), ("--workdir=a", "b")])
def test_one_workdir_is_asked_for(arguments):
    done = status(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: name one workdir: python -m flamingo_jax.status WORKDIR\n"


def test_what_is_no_workdir_is_one_error(tmp_path):
    done = status(tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    (said,) = done.stderr.splitlines()
    assert said.startswith(f"error: {tmp_path} is not the workdir of a run: ")
