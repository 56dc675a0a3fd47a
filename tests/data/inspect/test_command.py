"""`python -m flamingo_jax.data.inspect`."""

import json
import subprocess
import sys

import pytest

from flamingo_jax import config
from flamingo_jax.training.run import RunConfig


def run(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "flamingo_jax.data.inspect", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_rows_of_a_run(tiny_gin, tmp_path):
    out = tmp_path / "new" / "out"
    done = run(f"--gin_file={tiny_gin}", f"--output={out}", "--step=5", "--steps=2", "--rows=2", "--dataset=pairs")
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in out.iterdir()) == ["rows.html", "statistics.json"]
    statistics = json.loads((out / "statistics.json").read_text())
    assert (statistics["first_step"], statistics["steps"], list(statistics["datasets"])) == (5, 2, ["pairs"])
    assert statistics["datasets"]["pairs"]["rows"] == 8
    page = (out / "rows.html").read_text()
    assert page.count("<article") == 2 and "Step 5, row 1" in page
    assert "tokens in use" in done.stdout and done.stdout.endswith(f"page: {out / 'rows.html'}\n")


def test_documents_of_a_dataset(tiny_gin, tmp_path):
    done = run(f"--path={tiny_gin.parent / 'corpus/m3w'}", "--split=validation", f"--output={tmp_path}")
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "statistics.json").read_text())["kind"] == "interleaved"
    assert (tmp_path / "documents.html").read_text().count("<article") > 1


def test_a_mistake_is_one_error_and_writes_nothing(tiny_gin, tmp_path):
    out = tmp_path / "out"
    done = run(f"--gin_file={tiny_gin}", f"--output={out}", "--split=train")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: --split does nothing with --gin_file; leave it out\n"
    assert not out.exists()


@pytest.fixture
def workdir(tiny_gin, tmp_path):
    """A run that skipped three data steps when it went back to its fourth update."""
    path = tmp_path / "run"
    path.mkdir()
    (path / "config.json").write_text(config.to_json(config.resolve(RunConfig, [str(tiny_gin)], [])))
    lines = [*({"step": step} for step in range(1, 8)), {"event": "rollback", "step": 7, "to": 4, "data_step": 7}]
    (path / "metrics.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return path


def test_rows_of_an_update_that_was_logged(workdir, tiny_gin, tmp_path):
    done = run(f"--workdir={workdir}", "--step=6", "--dataset=pairs", f"--output={tmp_path / 'update'}")
    assert done.returncode == 0, done.stderr
    assert done.stderr == "an update 6 that the run gave up was made of data step 5 (--data_step=5)\n"
    same = run(f"--gin_file={tiny_gin}", "--step=8", "--steps=1", "--dataset=pairs", f"--output={tmp_path / 'gin'}")
    assert same.returncode == 0, same.stderr
    found, expected = (json.loads((tmp_path / name / "statistics.json").read_text()) for name in ("update", "gin"))
    assert found == expected and found["first_step"] == 8
    assert "run, update 6" in (tmp_path / "update" / "rows.html").read_text()


@pytest.mark.parametrize(
    "arguments, says",
    [
        (["--step=2", "--gin_file=x.gin"], "name one of: a run"),
        (["--step=0"], "--workdir needs --step=N"),
        (["--step=1", "--gin=a.b = 1"], "--gin does nothing with --workdir"),
    ],
)
def test_mistakes_about_a_run_that_was_started(workdir, tmp_path, arguments, says):
    done = run(f"--workdir={workdir}", f"--output={tmp_path / 'out'}", *arguments)
    assert done.returncode == 2 and done.stderr.startswith(f"error: {says}")
    assert not (tmp_path / "out").exists()
