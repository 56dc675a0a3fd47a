"""The pages on launching: every launch command in them is one that its script takes."""

import re
import shlex
from pathlib import Path

import pytest

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


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_other_program_is_a_known_one(page):
    known = {"make", "python", "python3.12", ".venv/bin/python", "gcloud", "docker", "tar", "tensorboard", "sbatch"}
    known |= {"scancel", "squeue", "tail", "kill", "sleep", "wait"}
    assert {command[0] for command in commands(page) if not command[0].startswith("launch/")} <= known


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)#]+)", page.read_text()):
        assert (page.parent / link).exists(), link
