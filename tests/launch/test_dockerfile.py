"""launch/Dockerfile: its stages, read as text; nothing is built."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "launch" / "Dockerfile").read_text().replace("\\\n", " ")
STAGES = {part.split()[3]: part for part in re.split(r"^(?=FROM )", TEXT, flags=re.MULTILINE)[1:]}


def test_there_is_a_stage_for_each_accelerator():
    assert set(STAGES) == {"base", "code", "tpu", "cuda"}
    assert 'ENTRYPOINT ["python", "-m"]' in STAGES["base"]


@pytest.mark.parametrize("stage", ["tpu", "cuda"])
def test_a_stage_installs_tested_versions_of_extras_that_exist(stage):
    extras = re.search(r"'\.\[([a-z,]+)\]'", STAGES[stage])[1].split(",")
    assert extras == [stage, "gcs"]
    setup = (ROOT / "setup.py").read_text()
    assert all(f'    "{extra}": [' in setup for extra in extras)
    version = re.search(r"^ARG PYTHON=(.*)$", TEXT, re.MULTILINE)[1]
    assert (ROOT / "constraints" / f"py{version.replace('.', '')}.txt").exists()
    assert "--constraint" in STAGES[stage]


@pytest.mark.parametrize("stage", ["tpu", "cuda"])
def test_a_stage_ends_as_a_user_without_privileges(stage):
    assert re.search(r"^ARG RUN_AS=(.*)$", TEXT, re.MULTILINE)[1] == "flamingo"
    assert STAGES[stage].rstrip().splitlines()[-1] == "USER ${RUN_AS}"
    # A build argument of before the first stage is known only where it is named again.
    assert "\nARG RUN_AS\n" in STAGES[stage] and "\nARG PYTHON\n" in STAGES[stage]


def test_what_is_copied_exists_and_is_sent():
    sent = {
        line[1:] for line in (ROOT / "launch" / "Dockerfile.dockerignore").read_text().splitlines() if line[:1] == "!"
    }
    lines = re.findall(r"^COPY (?!--from)(.*)$", TEXT, re.MULTILINE)
    copied = {name for line in lines for name in line.split()[:-1]}
    assert copied == sent
    assert all((ROOT / name).exists() for name in copied)


@pytest.mark.parametrize("stage", ["tpu", "cuda"])
def test_a_stage_installs_the_code_after_what_it_depends_on(stage):
    """A change of the code leaves the layer of the dependencies as it is."""
    lines = [line for line in STAGES[stage].splitlines() if line.startswith(("COPY ", "RUN "))]
    assert [line.split()[0] for line in lines] == ["RUN", "COPY", "RUN"]
    assert lines[1] == "COPY --from=code / ./" and "--no-deps --editable" in lines[2]


def test_images_come_by_their_short_names():
    sources = re.findall(r"^FROM (\S+)", TEXT, re.MULTILINE)
    assert sources == ["python:${PYTHON}-slim", "scratch", "base", "base"]
