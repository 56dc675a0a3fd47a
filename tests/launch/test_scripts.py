"""The launch scripts, run with a stand-in for Python that writes down how it is called."""

import ast
import os
import shlex
import shutil
import signal
import stat
import subprocess
from pathlib import Path

import pytest

from flamingo_jax import config
from flamingo_jax.training.run import RunConfig
from tests.patience import until

ROOT = Path(__file__).parents[2]
PARTS = sorted((ROOT / "launch" / "lib").glob("*.sh"))  # sourced by the scripts
LAUNCHED = sorted({*(ROOT / "launch").rglob("*.sh"), *(ROOT / "launch").glob("*.sbatch")} - set(PARTS))
SCRIPTS = [ROOT / ".ci" / "run", *LAUNCHED]
STAGES = ["embedded_web", "m3w", "pairs", "clips", "train", "evaluate"]

# Writes its arguments, NUL after each, and a newline; then does as STAND_IN_<module> tells.
STAND_IN = """#!/usr/bin/env bash
printf '%s\\0' "$@" >>"$CALLS"; echo >>"$CALLS"
behaviour="STAND_IN_${2##*.}"
eval "${!behaviour:-}"
"""

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")


@pytest.fixture
def checkout(tmp_path) -> Path:
    """A folder, with a space in its name, that holds the scripts and the stand-in as its environment's Python."""
    root = tmp_path / "a checkout"
    shutil.copytree(ROOT / "launch", root / "launch")
    python = root / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(STAND_IN)
    python.chmod(0o755)
    return root


def run(checkout: Path, *arguments: str, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [checkout / "launch" / "quickstart.sh", *arguments],
        cwd=cwd or checkout,
        env=_environment(checkout, environment),
        capture_output=True,
        text=True,
        timeout=60,
    )


def _environment(checkout: Path, more: dict[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name != "PYTHON"}
    return kept | {"CALLS": str(checkout.parent / "calls")} | more


def calls(checkout: Path) -> list[list[str]]:
    """The arguments of each call of the stand-in, in order."""
    path = checkout.parent / "calls"
    return [line.split("\0")[:-1] for line in path.read_text().splitlines()] if path.exists() else []


def modules(checkout: Path) -> list[str]:
    return [stage(call) for call in calls(checkout)]


def commands(said: subprocess.CompletedProcess) -> list[list[str]]:
    """The arguments of each command that a dry run prints, below the title of its stage."""
    return [shlex.split(line)[1:] for line in said.stdout.splitlines() if not line.startswith("== ")]


def stage(call: list[str]) -> str:
    """What a call runs: the module's last name, or of a conversion the format."""
    module = call[1].rpartition(".")[2]
    return call[2] if module == "convert" else module


def tree(root: Path) -> dict[str, tuple[int, int]]:
    return {
        str(path.relative_to(root)): (path.stat().st_mtime_ns, path.stat().st_size) for path in sorted(root.rglob("*"))
    }


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_is_executable_bash(script):
    assert script.read_text().startswith("#!/usr/bin/env bash\n")
    assert script.stat().st_mode & stat.S_IXUSR
    assert "set -euo pipefail" in script.read_text()
    subprocess.run(["bash", "-n", script], check=True)


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
@pytest.mark.parametrize("script", [*SCRIPTS, *PARTS], ids=lambda path: path.name)
def test_shellcheck_has_no_remark(script):
    found = subprocess.run(["shellcheck", script], capture_output=True, text=True)
    assert found.returncode == 0, found.stdout


@pytest.mark.parametrize("script", LAUNCHED, ids=lambda path: path.name)
def test_help_exits_well_and_says_how_to_call(script, tmp_path):
    said = subprocess.run([script, "--help"], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert said.returncode == 0
    assert said.stdout.startswith("usage: ")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("workdir", [[], ["--workdir", "else where"], ["--workdir=/tmp/no such folder"]])
def test_a_dry_run_touches_nothing(checkout, workdir):
    before = tree(checkout.parent)
    said = run(checkout, "--dry-run", *workdir)
    assert said.returncode == 0, said.stderr
    assert tree(checkout.parent) == before
    assert not calls(checkout)
    assert [stage(call) for call in commands(said)] == STAGES


def test_runs_what_the_dry_run_prints(checkout):
    printed = commands(run(checkout, "--dry-run", "--workdir", 'a "b\\c'))
    said = run(checkout, "--workdir", 'a "b\\c')
    assert said.returncode == 0, said.stderr
    assert calls(checkout) == printed
    assert said.stdout.splitlines()[-1] == 'report: a "b\\c/report.html'


def test_tells_the_seconds_of_each_stage(checkout):
    said = run(checkout, STAND_IN_m3w="sleep 1.1")
    table = said.stdout.split("\n\n")[-1].splitlines()
    assert [line.rsplit(maxsplit=2)[0] for line in table[:-2]] == [
        "embedded web",
        "pages",
        "pairs",
        "clips",
        "training",
        "evaluation",
    ]
    assert int(table[1].split()[-2]) >= 1
    assert table[-2].startswith("together")
    assert table[-1] == "report: runs/quickstart/report.html"


def test_the_default_workdir_needs_no_binding(checkout):
    for arguments in ([], ["--workdir", "runs/quickstart/"], ["--workdir", str(checkout / "runs" / "quickstart")]):
        train = commands(run(checkout, "--dry-run", *arguments))[STAGES.index("train")]
        assert train[2:] == ["--gin_file=gin/runs/quickstart.gin", "--workdir=runs/quickstart"]


def test_a_relative_workdir_is_the_callers(checkout, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    said = run(checkout, "--workdir", "mine", cwd=other)
    assert calls(checkout)[0][2] == f"--output={other}/mine/web"
    assert said.stdout.splitlines()[-1] == f"report: {other}/mine/report.html"


def test_python_of_the_environment_is_used(checkout, tmp_path):
    mine = tmp_path / "my python"
    shutil.copy(checkout / ".venv" / "bin" / "python", mine)
    shutil.rmtree(checkout / ".venv")
    assert run(checkout, cwd=tmp_path, PYTHON="./my python").returncode == 0
    assert modules(checkout) == STAGES
    said = run(checkout)
    assert said.returncode == 2
    assert "make env" in said.stderr


def test_stops_at_the_stage_that_fails(checkout):
    said = run(checkout, STAND_IN_convert="echo the disk is full >&2; exit 7")
    assert said.returncode == 7
    assert modules(checkout) == ["embedded_web", "m3w", "pairs"]
    assert "the disk is full" in said.stderr
    assert '"pairs" ended with status 7' in said.stderr
    assert "report:" not in said.stdout


# Training ends well after Ctrl-C, because it has saved; a builder ends with 130.
@pytest.mark.parametrize("module, status", [("train", 0), ("m3w", 130)])
def test_ctrl_c_stops_it_and_says_how_to_go_on(checkout, module, status):
    running = checkout.parent / "running"
    behaviour = f"trap 'exit {status}' INT; touch {shlex.quote(str(running))}; while :; do sleep 0.05; done"
    script = subprocess.Popen(
        [checkout / "launch" / "quickstart.sh"],
        env=_environment(checkout, {f"STAND_IN_{module}": behaviour}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    until(running.exists)
    os.killpg(script.pid, signal.SIGINT)
    _, said = script.communicate(timeout=30)
    assert script.returncode == 130
    assert "call the same command again" in said
    assert modules(checkout)[-1] == module


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--frobnicate"], "unknown argument: --frobnicate"),
        (["--workdir"], "--workdir needs a folder"),
        (["--workdir="], "--workdir is empty"),
        (["--workdir", "gs://bucket/run"], "local folder"),
    ],
)
def test_wrong_arguments_end_in_one_error(checkout, arguments, message):
    said = run(checkout, *arguments)
    assert said.returncode == 2
    assert message in said.stderr.splitlines()[-1]
    assert not calls(checkout)


def test_the_bindings_reach_the_configuration(checkout, monkeypatch):
    train = commands(run(checkout, "--dry-run", "--workdir", '/tmp/a "b\\c'))[STAGES.index("train")]
    monkeypatch.chdir(ROOT)
    files = [argument.removeprefix("--gin_file=") for argument in train if argument.startswith("--gin_file=")]
    bindings = [argument.removeprefix("--gin=") for argument in train if argument.startswith("--gin=")]
    assert len(bindings) == 3
    run_config = config.resolve(RunConfig, files, bindings)
    assert {name: dataset.path for name, dataset in run_config.mixture.datasets} == {
        name: f'/tmp/a "b\\c/corpus/{name}' for name in ("m3w", "pairs", "clips")
    }
    # Each is a plain string, so that gin reads no reference or macro in it.
    assert all(isinstance(ast.literal_eval(binding.partition(" = ")[2]), str) for binding in bindings)


@pytest.mark.parametrize("part", PARTS, ids=lambda path: path.name)
def test_what_is_sourced_does_nothing_by_itself(part, tmp_path):
    said = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", '. "$0"', part], cwd=tmp_path, capture_output=True, text=True
    )
    assert (said.returncode, said.stdout, said.stderr) == (0, "", "")
    assert not part.stat().st_mode & stat.S_IXUSR


def test_the_default_workdir_is_where_the_gin_file_reads(monkeypatch):
    monkeypatch.chdir(ROOT)
    run_config = config.resolve(RunConfig, ["gin/runs/quickstart.gin"], [])
    assert {name: dataset.path for name, dataset in run_config.mixture.datasets} == {
        name: f"runs/quickstart/corpus/{name}" for name in ("m3w", "pairs", "clips")
    }
