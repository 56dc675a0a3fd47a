"""Several JAX processes on this machine, joined over the loopback interface."""

import os
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]


class Processes(list[subprocess.Popen]):
    """Processes that run the same module, each told who it is; those that still run are killed at the end."""

    def __init__(self, count: int, module: str, arguments: Sequence[str], environment: Mapping[str, str] = {}):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        shared = {
            "FLAMINGO_COORDINATOR": f"127.0.0.1:{port}",
            "FLAMINGO_NUM_PROCESSES": str(count),
            "JAX_PLATFORMS": "cpu",
        }
        for process in range(count):
            self.append(
                subprocess.Popen(
                    [sys.executable, "-m", module, *arguments],
                    env=os.environ | shared | environment | {"FLAMINGO_PROCESS_ID": str(process)},
                    cwd=ROOT,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                )
            )

    def __enter__(self) -> "Processes":
        return self

    def __exit__(self, *_) -> None:
        for process in self:
            process.kill()
            process.communicate()

    def finish(self, timeout: float) -> list[tuple[int, str, str]]:
        """Exit status, stdout and stderr of each, once all have ended."""
        ended = []
        for process in self:
            out, err = process.communicate(timeout=timeout)
            ended.append((process.returncode, out, err))
        return ended
