"""Fixtures of the launch scripts' tests."""

import contextlib
import os
import shutil
import signal
from collections.abc import Iterator

import pytest

from tests.launch.cloud import Cloud
from tests.launch.machine import Machine


@pytest.fixture
def machine(tmp_path) -> Machine:
    """The launch scripts, with no stand-in yet."""
    if shutil.which("bash") is None:
        pytest.skip("bash is not installed")
    return Machine(tmp_path / "machine")


@pytest.fixture
def cloud(machine) -> Iterator[Cloud]:
    """Two workers and a queued resource that is ACTIVE; what still runs there is killed after the test."""
    cloud = Cloud(machine)
    yield cloud
    for path in cloud.workers.glob("*/flamingo-jax/job.pid"):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(int(path.read_text()), signal.SIGKILL)
