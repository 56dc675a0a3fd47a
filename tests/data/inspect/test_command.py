"""`python -m flamingo_jax.data.inspect`."""

import json
import subprocess
import sys


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
