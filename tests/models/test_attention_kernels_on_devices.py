"""Each device runs a kernel on its own rows and heads; and the TPU compiler takes them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from flamingo_jax.parallel.topology import compiler_environment
from tests import hasty


@pytest.fixture(scope="module")
def report() -> dict:
    environment = os.environ | compiler_environment() | {"XLA_FLAGS": hasty.xla_flags(devices=8)}
    command = [sys.executable, "-m", "tests.models.kernels_on_devices"]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, env=environment, cwd=root, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
def test_devices_together_find_what_one_finds(report):
    for kernel in ("flash", "splash"):
        for name, off in report["difference"][kernel].items():
            assert off < 2e-5, (kernel, name)


@pytest.mark.slow
def test_kernels_and_their_gradients_compile_for_tpus(report):
    if not report["compiled"]:
        pytest.skip("libtpu is not installed")
    for programs in report["compiled"].values():
        for name, (calls, gathers) in programs.items():
            assert calls == 3, "forward, and backward for queries and for keys and values"
            assert name == "one key" or not gathers, "rows and heads stay where they are"
