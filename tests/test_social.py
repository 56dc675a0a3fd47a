"""The command that reports on groups and toxicity, as a user runs it."""

import json
import subprocess
import sys

import pytest

from tests.evaluation.social.toy import write_evaluation, write_groups, write_lines


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    folder = tmp_path_factory.mktemp("places")
    write_evaluation(folder / "of")
    write_groups(folder / "groups.csv")
    return folder


def run(folder, **given):
    given = [f"--{name}={value}" for name, value in {"evaluation": folder / "of", **given}.items()]
    command = [sys.executable, "-m", "flamingo_jax.social", *given]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def test_captions_are_written_scored_and_reported(places):
    done = run(places, requests=places / "requests.jsonl")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"40 captions to be scored: {places / 'requests.jsonl'}\n")
    asked = [json.loads(line) for line in (places / "requests.jsonl").read_text().splitlines()]
    scores = write_lines(places / "scores.jsonl", [one | {"score": 0.25} for one in asked])
    done = run(places, groups=places / "groups.csv", toxicity=scores, threshold=0.2, output=places / "report")
    assert done.returncode == 0, done.stderr
    assert "40 of 40 captions have a toxicity of 0.2 or more: 100.00%" in done.stdout
    assert done.stdout.endswith(f"report: {places / 'report' / 'report.html'}\n")
    assert {path.name for path in (places / "report").iterdir()} == {"report.json", "report.html"}


def test_nothing_to_do_is_one_clear_error(places):
    done = run(places)
    assert done.returncode == 2
    assert done.stderr.startswith("error: give --groups=FILE, --toxicity=FILE, or --requests=FILE")
    assert "Traceback" not in done.stderr and done.stdout == ""
