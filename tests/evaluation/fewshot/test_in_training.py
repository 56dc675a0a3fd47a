"""Few-shot evaluation in the middle of a run."""

import contextlib
import json

import jax
import pytest
from etils import epath
from PIL import Image as PillowImage

from flamingo_jax import config
from flamingo_jax.config import ConfigError
from flamingo_jax.data.errors import MediaError
from flamingo_jax.evaluation.benchmarks.benchmark import MediaFile
from flamingo_jax.evaluation.benchmarks.embedded_web import QUESTIONS
from flamingo_jax.evaluation.fewshot import together
from flamingo_jax.evaluation.fewshot.config import FewShotConfig
from flamingo_jax.evaluation.fewshot.in_training import InTraining
from flamingo_jax.evaluation.fewshot.opening import open_to_ask
from flamingo_jax.evaluation.fewshot.run import evaluate_few_shot
from flamingo_jax.inference.session import Session
from flamingo_jax.training.loop import train
from flamingo_jax.training.run import RunConfig
from tests.evaluation.fewshot.in_training_program import ITEMS, STEPS, evaluated
from tests.evaluation.fewshot.test_prompts import write_release
from tests.parallel.processes import Processes


def figures(workdir) -> list[tuple[int, dict[str, float]]]:
    lines = map(json.loads, (workdir / "metrics.jsonl").read_text().splitlines())
    return [(line["step"], line["figures"]) for line in lines if line.get("event") == "evaluated"]


@pytest.fixture(scope="module")
def alone(tiny_gin, tmp_path_factory):
    """The workdir of a run in one process."""
    workdir = tmp_path_factory.mktemp("alone")
    train(evaluated(str(tiny_gin), str(tiny_gin.parent)), str(workdir))
    return workdir


@pytest.mark.slow
def test_its_figures_are_those_of_the_checkpoint(tiny_gin, alone, tmp_path):
    (_, first), (step, last) = figures(alone)
    names = ["eval/embedded_web_questions/0_shots", "eval/embedded_web_questions/2_shots"]
    assert step == STEPS and list(first) == list(last) == [*names, "eval/embedded_web_captions/1_shots"]
    few_shot = FewShotConfig(shots=(0, 2), seeds=(0,), max_items=ITEMS, batch_size=4)
    session = Session.open(epath.Path(alone))
    split = open_to_ask(QUESTIONS, epath.Path(tiny_gin.parent), few_shot)
    summary = evaluate_few_shot(session, "r", QUESTIONS, split, few_shot, epath.Path(tmp_path))
    assert [found["value"] for found in summary["results"]] == [last[name] for name in names]


@pytest.mark.slow
def test_two_processes_find_what_one_does(tiny_gin, alone, tmp_path):
    arguments = [str(tiny_gin), str(tmp_path), str(tiny_gin.parent), "data=2"]
    with Processes(2, "tests.evaluation.fewshot.in_training_program", arguments) as processes:
        ended = processes.finish(500)
    assert [status for status, _, _ in ended] == [0, 0], ended
    assert figures(tmp_path) == figures(alone)


def test_what_is_missing_is_told_before_the_first_update(tiny_config, tmp_path):
    with pytest.raises(ConfigError, match="files of the release are missing"):
        InTraining("okvqa", str(tmp_path)).make(None)
    with pytest.raises(ConfigError, match="prompts have at most 0"):
        InTraining("rareact", str(tmp_path), shots=(4,), dev=False).make(None)
    with pytest.raises(ConfigError, match="there is no benchmark 'okvqb'"):
        InTraining("okvqb", str(tmp_path)).make(None)


def test_there_are_as_many_examples_as_shots(tmp_path):
    write_release("hateful_memes", tmp_path)
    with pytest.raises(ConfigError, match=r"InTraining.shots of HatefulMemes has 32, and .* has \d+ examples"):
        InTraining("hateful_memes", str(tmp_path), shots=(32,), dev=False).make(None)


def test_a_damaged_picture_costs_the_figures_and_not_the_run(session, tmp_path, caplog):
    write_release("hateful_memes", tmp_path)
    evaluate = InTraining("hateful_memes", str(tmp_path), shots=(0,), max_items=2, dev=False).make(session.design)
    for picture in (tmp_path / "img").iterdir():
        picture.write_bytes(picture.read_bytes()[:40])
    assert evaluate(session.params, lambda: False) == {}
    assert "no figures of HatefulMemes this time" in caplog.text and "damaged: fetch it again" in caplog.text


def test_no_process_goes_on_alone(session, tmp_path, monkeypatch):
    """Where another process fails, this one does, before it would wait for the other."""
    PillowImage.new("RGB", (8, 8)).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"no picture")
    whole, damaged = (MediaFile(str(tmp_path / name)) for name in ("a.png", "b.png"))
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    asked = []
    for other in (False, True):
        monkeypatch.setattr(together, "any_of", lambda mine, other=other: asked.append(mine) or mine or other)
        with pytest.raises(MediaError, match=r"b\.png"):
            together.load_together(session.pixels, [whole, damaged])
        with pytest.raises(MediaError, match="another process") if other else contextlib.nullcontext():
            together.load_together(session.pixels, [whole])
    assert asked == [True, False] * 2


def test_gin_makes_the_papers_dev_sets(tmp_path):
    run = config.resolve(RunConfig, ["gin/runs/flamingo_3b_v5e.gin", "gin/evaluation/dev.gin"], [])
    assert [each.benchmark for each in run.evaluations] == ["coco", "okvqa", "vqav2", "msvd_qa", "vatex"]
    assert all(each.dev and each.shots == (4,) for each in run.evaluations)
    again = config.from_config_dict(json.loads(config.to_json(run)))
    assert again.evaluations == run.evaluations
