"""An evaluation by several processes."""

import json
import subprocess
import sys

import numpy as np
import pytest
from etils import epath

from flamingo_jax.evaluation.fewshot.own_folder import own_folder
from tests.evaluation.fewshot.test_prompts import write_release
from tests.parallel.processes import Processes


def test_a_single_process_writes_where_it_is_told(tmp_path):
    with own_folder(epath.Path(tmp_path)) as folder:
        assert folder == epath.Path(tmp_path)


@pytest.mark.slow
def test_two_processes_go_on_where_one_stopped_and_find_what_one_does(workdir, tmp_path):
    write_release("hateful_memes", tmp_path / "release")
    command = [f"--workdir={workdir}", "--benchmark=hateful_memes", f"--data_dir={tmp_path / 'release'}"]
    command += ["--support=random,rices", "--seeds=0", "--batch_size=2"]
    alone = [sys.executable, "-m", "flamingo_jax.evaluate", *command]
    subprocess.run([*alone, "--shots=0,4", f"--output={tmp_path / 'alone'}"], check=True, timeout=600)
    together = tmp_path / "together"
    subprocess.run([*alone, "--shots=0", f"--output={together}"], check=True, timeout=600)
    first = (together / "rows" / "random-0-0.jsonl").read_bytes()

    arguments = [*command, "--shots=0,4", f"--output={together}"]
    with Processes(2, "flamingo_jax.evaluate", arguments) as processes:
        ended = processes.finish(500)
    assert [status for status, _, _ in ended] == [0, 0], ended
    assert "ROC AUC" in ended[0][1] and "ROC AUC" not in ended[1][1]  # the first one speaks
    assert (together / "rows" / "random-0-0.jsonl").read_bytes() == first

    def scores(name: str) -> dict:
        lines = [line for path in (tmp_path / name / "rows").iterdir() for line in path.read_text().splitlines()]
        rows = map(json.loads, lines)
        return {(row["selection"], row["shots"], row["key"]): (row["support"], row["scores"]) for row in rows}

    expected, found = scores("alone"), scores("together")
    assert found.keys() == expected.keys() and len({key[:2] for key in found}) == 3
    for key, (support, values) in expected.items():
        assert found[key][0] == support
        np.testing.assert_allclose(found[key][1], values, rtol=1e-4)
    assert {path.name for path in together.iterdir()} == {path.name for path in (tmp_path / "alone").iterdir()}
