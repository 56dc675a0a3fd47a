"""A copy of the launch scripts in a folder of its own, and stand-ins for the programs that they call."""

import os
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]

# Writes its name and arguments, NUL after each, and a newline. Several may be called at a time, and bash writes what
# stands before a newline by itself: hence the lock.
_RECORD = f"""#!/usr/bin/env bash
{{ {shutil.which("flock")} 9; printf '%s\\0' "${{0##*/}}" "$@" $'\\n' >&9; }} 9>>"$CALLS"
"""


class Machine:
    """A folder, with a space in its name, that holds the scripts; `programs` are alone on PATH before the system's."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.root = folder / "a checkout"
        self.programs = folder / "programs"
        self.programs.mkdir(parents=True)
        shutil.copytree(ROOT / "launch", self.root / "launch")

    def stand_in(self, name: str, behaviour: str = "") -> Path:
        """A program that records how it is called, and then does as told in bash."""
        path = self.programs / name
        path.write_text(_RECORD + behaviour)
        path.chmod(0o755)
        return path

    def environment(self, **more: str) -> dict[str, str]:
        """The environment of a call; without what the caller's own may say to the scripts."""
        foreign = ("PYTHON", "XLA_FLAGS", "LIBTPU_INIT_ARGS", "JAX_PLATFORMS", "FLAMINGO_", "SLURM_")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        path = f"{self.programs}:{os.environ['PATH']}"
        return kept | {"PATH": path, "CALLS": str(self.folder / "calls")} | more

    def call(self, script: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [self.root / "launch" / script, *map(str, arguments)],
            cwd=self.folder,
            env=self.environment(**environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )

    def calls(self, name: str | None = None) -> list[list[str]]:
        """The recorded calls, program first; those of one program if it is named."""
        path = self.folder / "calls"
        lines = path.read_text().split("\0\n\0")[:-1] if path.exists() else []
        found = [line.split("\0") for line in lines]
        return [call for call in found if name in (None, call[0])]

    def bare_path(self) -> str:
        """A PATH with what the scripts themselves need, and no program that they call."""
        folder = self.folder / "bare"
        folder.mkdir()
        for name in ("bash", "dirname", "env"):
            (folder / name).symlink_to(shutil.which(name))
        return str(folder)

    def files(self) -> dict[str, int]:
        """Every file with its time, to see whether a call touched anything."""
        return {str(path.relative_to(self.folder)): path.stat().st_mtime_ns for path in sorted(self.folder.rglob("*"))}
