"""The command that looks for a benchmark's pictures in corpora, as a user runs it."""

import json
import subprocess
import sys

import pytest

from flamingo_jax.data.document import Document, Image, Text
from tests.data import stored
from tests.evaluation.contamination.toy import encoded, shapes


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """A corpus in which one of two memes stands."""
    folder = tmp_path_factory.mktemp("places")
    (folder / "memes" / "img").mkdir(parents=True)
    lines = []
    for number in (1, 2):
        (folder / "memes" / "img" / f"0000{number}.png").write_bytes(encoded(shapes(number)))
        lines.append({"id": number, "img": f"img/0000{number}.png", "label": number % 2, "text": "ha"})
    (folder / "memes" / "test_seen.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    made = {str(seed): Document(str(seed), (Image(encoded(shapes(seed)), ""), Text("t"))) for seed in (2, 7, 8)}
    stored.write(folder, "web", {"train": list(made)}, made.__getitem__)
    return folder


def run(folder, **changed):
    flags = {
        "corpus": folder / "web",
        "split": "train",
        "benchmark": "hateful_memes",
        "data_dir": folder / "memes",
        "output": folder / "report",
        "processes": 1,
    }
    given = [f"--{name}={value}" for name, value in {**flags, **changed}.items()]
    command = [sys.executable, "-m", "flamingo_jax.contamination", *given]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


@pytest.mark.slow
def test_the_report_is_written_by_several_processes(places):
    done = run(places, processes=2)
    assert done.returncode == 0, done.stderr
    report = places / "report"
    assert done.stdout == f"1 near-duplicate candidate, of which 1 exact; see {report / 'report.html'}\n"
    found = json.loads((report / "report.json").read_text())
    assert found["splits"]["test_seen"]["exact_items"] == ["00002"]
    assert (report / "report.html").exists()


@pytest.mark.parametrize(
    "changed, message",
    [
        ({"corpus": "/nowhere/web"}, "error: /nowhere/web: no such dataset"),
        ({"benchmark": "memes"}, "error: there is no benchmark 'memes'; choose of coco, "),
        ({"data_dir": "/nowhere/memes"}, "error: HatefulMemes: there is no folder /nowhere/memes"),
    ],
)
def test_a_wrong_place_is_one_clear_error(places, changed, message):
    done = run(places, **changed)
    assert done.returncode == 2
    assert done.stderr.startswith(message)
    assert "Traceback" not in done.stderr and done.stdout == ""
