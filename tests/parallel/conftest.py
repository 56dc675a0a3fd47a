"""What became of a step on eight simulated devices: one process does it for all tests of this folder."""

import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests import hasty
from tests.parallel.eight_devices import MESHES

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def eight_devices(tiny_gin, tmp_path_factory) -> dict:
    """The report that `eight_devices.py` prints of two sets of rules; a third dataset would be a third more to
    compile."""
    return _report(tiny_gin, tmp_path_factory, "m3w,clips", "fsdp", "megatron_zero1")


@pytest.fixture(scope="session")
def eight_devices_again(tiny_gin, tmp_path_factory) -> dict:
    """That of all sets, with all datasets."""
    return _report(tiny_gin, tmp_path_factory, "m3w,pairs,clips", *MESHES)


def _report(tiny_gin: Path, tmp_path_factory: pytest.TempPathFactory, datasets: str, *names: str) -> dict:
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent  # that of the session, which its workers share: one runs it, the others wait
    report = folder / f"eight_devices_{datasets}.json"
    with (folder / "eight_devices.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not report.exists():
            report.write_text(_run(tiny_gin, datasets, names))
    return json.loads(report.read_text())


def _run(tiny_gin: Path, datasets: str, names: Sequence[str]) -> str:
    command = [sys.executable, "-m", "tests.parallel.eight_devices", str(tiny_gin), datasets, *names]
    environment = os.environ | {"XLA_FLAGS": hasty.xla_flags(devices=8, libtpu=False)}
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return done.stdout
