"""The plan command as a user runs it: figures on stdout, one line for a mistake, and Ctrl-C."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests import tiny_run
from tests.planning.tpu import needs_libtpu

KEYS = {
    "params",
    "topology",
    "chips",
    "hbm_bytes_per_chip",
    "hbm_capacity",
    "fits",
    "model_flops_per_step",
    "estimated_step_seconds",
    "estimated_mfu",
    "collective_bytes",
    "compile_seconds",
}


@pytest.fixture(scope="module")
def gin_file(tmp_path_factory) -> Path:
    return tiny_run.write_pairs_only(tmp_path_factory.mktemp("gin") / "tiny.gin")


def command(gin_file: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "flamingo_jax.plan", f"--gin_file={gin_file}", *arguments]


def plan(gin_file: Path, *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(command(gin_file, *arguments), capture_output=True, text=True, timeout=300)


@needs_libtpu
@pytest.mark.slow
def test_the_tiny_run_from_end_to_end(gin_file):
    done = plan(gin_file, "--topology=v5e:2x2", "--json")
    assert done.returncode == 0, done.stderr
    assert [line for line in done.stderr.splitlines() if not line.startswith("compiling")] == []
    found = json.loads(done.stdout)
    assert found.keys() >= KEYS
    assert (found["topology"], found["chips"], found["fits"]) == ("v5e:2x2", 4, True)
    assert found["hbm_bytes_per_chip"] == sum(found["memory"].values()) < 2**28
    assert found["memory"]["program"] > 0 and found["memory"]["temporaries"] > 0
    assert 0 < found["estimated_step_seconds"] <= found["estimated_step_seconds_no_overlap"] < 1
    assert 0 < found["estimated_mfu"] < 1
    # What the chips compute is at least what the model asks for, in a step of so little attention not much more.
    assert 0.9 < found["hardware_flops_per_step"] / found["model_flops_per_step"] < 2
    # The gradient, in float32, goes to all four chips: each sends it once or a little more often.
    assert 1 <= found["collective_bytes"] / (4 * found["params"]["trainable"]) < 2.5
    assert found["compile_seconds"] > 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--topology=v5e:3x3",), "there is no such slice of v5e"),
        (("--topology=v7:2x2",), "unknown chip 'v7'"),
        (("--topology=v5e:2x2", "--gin=run.RunConfig.stepps=3"), "stepps"),
        pytest.param(
            ("--topology=v5e:2x2", "--gin=pairs.PairsConfig.batch_size=3"),
            "must be a multiple of 4",
            marks=needs_libtpu,
        ),
    ],
)
def test_a_mistake_is_one_line(gin_file, arguments, says):
    done = plan(gin_file, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ") and says in line


def test_the_topology_is_asked_for(gin_file):
    done = plan(gin_file)
    assert done.returncode != 0 and "--topology" in done.stderr


@needs_libtpu
def test_ctrl_c_ends_a_plan_at_once(gin_file):
    process = subprocess.Popen(
        command(gin_file, "--topology=v5e:2x2"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stderr.readline().startswith("compiling")
        time.sleep(0.5)
        os.kill(process.pid, signal.SIGINT)
        out, error = process.communicate(timeout=20)
    finally:
        process.kill()
    assert (process.returncode, out, error) == (130, "", "interrupted\n")
