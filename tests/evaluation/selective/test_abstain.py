"""The command that fits a rule, and the answers that it reads."""

import json
import re
import subprocess
import sys

import numpy as np
import pytest

from flamingo_jax.config import ConfigError
from flamingo_jax.evaluation.confidence.rule import AbstentionRule
from flamingo_jax.evaluation.selective.answers import read_answers, refuse_others
from flamingo_jax.evaluation.selective.curve import aurc

SETTINGS = {
    "benchmark": "toy",
    "split": "dev",
    "step": 5,
    "parameters": "ab12",
    "decoding": {"method": "greedy"},
    "confidence": {"samples": 10, "temperature": 1.0, "permutations": 4, "seed": 0},
}


def write_folder(folder, count=400, seed=0, prefix="dev", change=None, **settings):
    """An evaluation whose answers are the more often right the better their evidence is."""
    rng = np.random.default_rng(seed)
    lines = []
    for number in range(count):
        skill = rng.normal()
        evidence = {
            "likelihood": -float(np.exp(-skill + rng.normal())),
            "agreement": round(float(np.clip(0.5 + skill / 4, 0, 1)), 1),
            "entropy": abs(float(rng.normal())),
            "dispersion": None,
            "image_gain": skill + float(rng.normal()),
        }
        right = rng.random() < 1 / (1 + np.exp(-4 * skill))
        row = {"key": f"{prefix}{number}", "share": 100.0 * right, "evidence": evidence, "kind": "ab"[skill > 0]}
        lines.append(row if change is None else change(row))
    (folder / "rows").mkdir(parents=True)
    (folder / "settings.json").write_text(json.dumps(SETTINGS | {"queries": count} | settings))
    (folder / "rows" / "random-0-3.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def abstain(workdir, *arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "flamingo_jax.abstain", f"--workdir={workdir}", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("evaluations")
    (folder / "run").mkdir()
    write_folder(folder / "dev")
    write_folder(folder / "test", seed=1, prefix="test", split="test")
    return folder


def test_from_evaluations_to_a_rule_and_a_page(folders):
    done = abstain(folders / "run", f"--dev={folders / 'dev'}", f"--test={folders / 'test'}", "--risk=0.2")
    assert done.returncode == 0, done.stderr
    rule = AbstentionRule.load(folders / "run" / "abstention.json")
    assert (rule.risk, rule.delta, rule.step, rule.parameters, rule.ranked) == (0.2, 0.1, 5, "ab12", False)
    assert rule.gathering.samples == 10

    # Everything that is printed, from the rows and the rule anew.
    rows = [json.loads(line) for line in (folders / "test" / "rows" / "random-0-3.jsonl").read_text().splitlines()]
    answers = read_answers(folders / "test", 0, "random")
    sure = np.array([rule.confidence(each) for each in answers.evidence])
    losses = np.array([1 - row["share"] / 100 for row in rows])
    answered = sure >= rule.threshold
    assert 0 < answered.sum() < 400
    found = json.loads((folders / "run" / "selective.json").read_text())
    assert found["answered"]["value"] == pytest.approx(answered.mean())
    assert found["risk"]["value"] == pytest.approx(losses[answered].mean())
    assert found["risk"]["low"] < found["risk"]["value"] < found["risk"]["high"]
    likelihood = np.array([row["evidence"]["likelihood"] for row in rows])
    areas = {each["name"]: each["aurc"]["value"] for each in found["measures"]}
    assert areas["rule"] == pytest.approx(aurc(sure, losses))
    assert areas["likelihood"] == pytest.approx(aurc(likelihood, losses))
    assert areas["entropy"] == pytest.approx(aurc(-np.array([row["evidence"]["entropy"] for row in rows]), losses))
    kinds = np.array([row["kind"] for row in rows])
    assert found["kinds"]["b"]["answered"] == pytest.approx(answered[kinds == "b"].mean())
    for figure in (f"{losses[answered].mean():.1%}", f"{answered.mean():.1%}", f"{areas['rule']:.4f}"):
        assert figure in done.stdout
    page = (folders / "run" / "selective.html").read_text()
    assert page.count("<svg") == 3 and "NaN" not in page and "nan" not in re.sub(r"<style>.*?</style>", "", page)
    assert not re.findall(r"(?:src|href)=\"(?!#|data:)", page)


def test_a_risk_that_cannot_be_held_abstains_always(folders, tmp_path):
    done = abstain(tmp_path, f"--dev={folders / 'dev'}", f"--test={folders / 'test'}", "--risk=0.001")
    assert done.returncode == 0, done.stderr
    assert "no threshold holds a risk of 0.1%" in done.stdout and "nothing is answered" in done.stdout
    assert AbstentionRule.load(tmp_path / "abstention.json").threshold is None
    assert json.loads((tmp_path / "selective.json").read_text())["risk"] is None
    assert "answers nothing" in (tmp_path / "selective.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--risk=0"], "--risk is above 0"),
        (["--risk=0.2", "--delta=1"], "--delta is above 0"),
        (["--risk=0.2", "--shots=4"], "no answers of 4 shots with random examples"),
    ],
)
def test_mistakes_of_the_command_line_are_one_line(folders, arguments, message):
    done = abstain(folders / "run", f"--dev={folders / 'dev'}", *arguments)
    assert done.returncode == 2 and message in done.stderr and len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("change", "settings", "message"),
    [
        (None, {"confidence": None}, "asked without evidence"),
        (None, {"queries": 500}, "40 of 500 answers"),
        (lambda row: row | {"share": None}, {}, "0 of them with a share"),
        (lambda row: row | {"share": 130.0}, {}, "not from 0 to 100"),
        (lambda row: {"key": row["key"], "share": 0.0}, {}, "damaged .'evidence'"),
        (lambda row: row | {"evidence": {"likelihood": 0}}, {}, "damaged"),
    ],
)
def test_answers_that_tell_nothing_are_refused(tmp_path, change, settings, message):
    write_folder(tmp_path / "a", 40, change=change, **settings)
    with pytest.raises(ConfigError, match=message):
        read_answers(tmp_path / "a", 0, "random")


def test_what_is_no_evaluation_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="no folder of an evaluation"):
        read_answers(tmp_path, 0, "random")


def test_questions_that_the_model_itself_left_out_do_not_count(tmp_path):
    write_folder(tmp_path / "a", 40, change=lambda row: row | {"share": None} if row["key"] < "dev2" else row)
    kept = read_answers(tmp_path / "a", 0, "random")
    assert 0 < len(kept.keys) < 40 and min(kept.keys) >= "dev2" and len(kept.evidence) == len(kept.correct)


def test_the_first_seed_counts(tmp_path):
    write_folder(tmp_path / "a", 40)
    rows = tmp_path / "a" / "rows"
    text = (rows / "random-0-3.jsonl").read_text()
    (rows / "random-0-10.jsonl").write_text(text.replace("dev", "other"))
    assert read_answers(tmp_path / "a", 0, "random").keys[0] == "dev0"
    (rows / "random-0-2.jsonl").write_text(text.replace("dev", "second"))
    assert read_answers(tmp_path / "a", 0, "random").keys[0] == "second0"


def test_dev_and_test_are_of_one_model_and_share_no_question(tmp_path):
    dev = read_answers(write_folder(tmp_path / "dev", 40), 0, "random")
    with pytest.raises(ConfigError, match="share 40 questions, such as dev0"):
        refuse_others(dev, dev)
    for number, change in enumerate(({"step": 6}, {"parameters": "cd"}, {"decoding": {"method": "beam"}})):
        folder = write_folder(tmp_path / str(number), 40, prefix="test", **change)
        with pytest.raises(ConfigError, match=f"differ in {next(iter(change))}"):
            refuse_others(dev, read_answers(folder, 0, "random"))
