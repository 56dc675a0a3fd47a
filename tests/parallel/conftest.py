"""What became of a step on eight simulated devices: one process does it for all tests of this folder."""

import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def eight_devices(tiny_gin, tmp_path_factory) -> dict:
    """The report that `eight_devices.py` prints."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent  # that of the session, which its workers share: one runs it, the others wait
    report = folder / "eight_devices.json"
    with (folder / "eight_devices.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not report.exists():
            report.write_text(_run(tiny_gin))
    return json.loads(report.read_text())


def _run(tiny_gin: Path) -> str:
    # Its programs run once: compiling them less well takes a fraction of the time.
    flags = "--xla_force_host_platform_device_count=8 --xla_backend_optimization_level=0"
    command = [sys.executable, "-m", "tests.parallel.eight_devices", str(tiny_gin)]
    environment = os.environ | {"XLA_FLAGS": flags}
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return done.stdout
