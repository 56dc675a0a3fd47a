"""The pages on launching: every launch command in them is one that its script takes."""

import re
import shlex
from pathlib import Path

import pytest

from flamingo_jax import config
from flamingo_jax.parallel.topology import parse_topology
from flamingo_jax.training.design import Design
from flamingo_jax.training.run import RunConfig

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs" / "launch").glob("*.md"))


def commands(page: Path) -> list[list[str]]:
    """The commands of the page's bash blocks, continued lines joined."""
    blocks = re.findall(r"^```bash\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    return [shlex.split(line) for line in lines if line.strip()]


def launched(page: Path) -> list[tuple[str, list[str]]]:
    """Script and arguments of each call of a launch script, directly or through sbatch."""
    found = []
    for command in commands(page):
        script = next((i for i, word in enumerate(command) if word.startswith("launch/")), None)
        if script == 0 or (command[0] == "sbatch" and script):
            arguments = [word for word in command[script + 1 :] if word != "&"]
            found.append((command[script].removeprefix("launch/"), arguments))
    return found


def values(words: list[str], flag: str) -> list[str]:
    """What is given as --flag=VALUE or --flag VALUE."""
    pairs = zip(words, [*words[1:], ""], strict=True)
    return [
        word.partition("=")[2] or after for word, after in pairs if word == f"--{flag}" or word.startswith(f"--{flag}=")
    ]


def run_config(words: list[str]) -> RunConfig:
    """The run of a command, without the reader's own gin files in a bucket."""
    files = [path for path in values(words, "gin_file") if "://" not in path] or ["gin/runs/quickstart.gin"]
    return config.resolve(RunConfig, [str(ROOT / path) for path in files], values(words, "gin"))


def several_slices() -> list[list[str]]:
    """Plans and trainings on more than one slice."""
    wanted = ("slices", "num-slices")
    lines = [command for page in PAGES for command in commands(page) if values(command, "gin_file")]
    return [command for command in lines if any(values(command, flag) > ["1"] for flag in wanted)]


def test_there_is_a_page_for_each_platform():
    assert [page.stem for page in PAGES] == ["gke", "local", "slurm", "tpu_vm"]
    assert {script for page in PAGES for script, _ in launched(page)} >= {
        "local_processes.sh",
        "tpu_vm.sh",
        "gke_xpk.sh",
        "slurm.sbatch",
    }


@pytest.mark.parametrize(
    "script, arguments",
    [pytest.param(*call, id=f"{page.stem}-{n}") for page in PAGES for n, call in enumerate(launched(page))],
)
def test_every_launch_command_is_taken(machine, script, arguments):
    before = machine.files()
    said = machine.call(script, "--dry-run", *arguments)
    assert said.returncode == 0 and said.stdout, said.stderr
    assert machine.files() == before and not machine.calls()


def test_the_mesh_goes_over_the_documented_slices():
    assert {command[0] for command in several_slices()} == {"launch/tpu_vm.sh", "launch/gke_xpk.sh", "python"}
    for command in several_slices():
        run = run_config(command)
        (slices,) = map(int, values(command, "slices") + values(command, "num-slices"))
        assert run.mesh.replica % slices == 0, command
        if "flamingo_jax.plan" in command:
            (topology,) = values(command, "topology")
            devices = parse_topology(topology, slices).devices()
            assert Design.make(run, devices).mesh.size == len(devices)  # refuses what does not divide


def test_the_documented_processes_share_every_batch():
    calls = [words for page in PAGES for script, words in launched(page) if script == "local_processes.sh"]
    assert any(values(words, "devices") for words in calls)
    for words in calls:
        devices = int(words[0]) * int((values(words, "devices") or ["1"])[0])
        assert all(data.batch_size % devices == 0 for _, data in run_config(words).mixture.datasets), words


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_other_program_is_a_known_one(page):
    known = {"make", "python", "python3.12", ".venv/bin/python", "gcloud", "docker", "tar", "tensorboard", "sbatch"}
    known |= {"scancel", "squeue", "tail", "kill", "sleep", "wait"}
    assert {command[0] for command in commands(page) if not command[0].startswith("launch/")} <= known


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)#]+)", page.read_text()):
        assert (page.parent / link).exists(), link
