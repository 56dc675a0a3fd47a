"""Evaluations from end to end with a tiny model: every benchmark, killed ones, and what is wrong with them."""

import dataclasses
import itertools
import json
import os
import signal
import subprocess
import sys
import time

import jax
import numpy as np
import pytest
from etils import epath
from PIL import Image as PillowImage

from flamingo_jax.config import ConfigError
from flamingo_jax.evaluation.benchmarks.benchmark import Prediction
from flamingo_jax.evaluation.benchmarks.catalog import BENCHMARKS
from flamingo_jax.evaluation.fewshot.asking import Asker
from flamingo_jax.evaluation.fewshot.config import FewShotConfig
from flamingo_jax.evaluation.fewshot.opening import open_to_ask
from flamingo_jax.evaluation.fewshot.run import evaluate_few_shot
from flamingo_jax.inference.decoding import Decoding
from tests.evaluation.fewshot.test_prompts import RELEASES, write_release

QUICK = FewShotConfig(shots=(0, 4), seeds=(0,), max_items=4, batch_size=4)


def evaluated(session, benchmark, folder, config, output):
    """The summary."""
    split = open_to_ask(benchmark, epath.Path(folder), config)
    return evaluate_few_shot(session, "tiny", benchmark, split, config, output)


def rows(output) -> list[dict]:
    paths = sorted((output / "rows").iterdir())
    return [json.loads(line) for path in paths for line in path.read_text().splitlines()]


# One of each way of asking and scoring; the others take minutes together.
SOON = ("coco", "hateful_memes", "vatex", "imagenet")


@pytest.mark.parametrize(
    "name", [name if name in SOON else pytest.param(name, marks=pytest.mark.slow) for name in RELEASES]
)
def test_every_benchmark_from_its_files_to_a_page(name, session, tmp_path):
    write_release(name, tmp_path / "release")
    benchmark = dataclasses.replace(BENCHMARKS[name], max_new_tokens=3)  # noise is as good after three tokens
    output = epath.Path(tmp_path) / "out"
    # A dialogue has a hundred candidates.
    config = dataclasses.replace(QUICK, max_items=1, batch_size=1) if name == "visdial" else QUICK
    summary = evaluated(session, benchmark, tmp_path / "release", config, output)
    assert json.loads((output / "summary.json").read_text()) == summary
    shots = [count for count in (0, 4) if count <= benchmark.max_shots]
    assert [found["shots"] for found in summary["results"]] == shots and summary["references"]
    for found in summary["results"]:
        assert found["value"] is not None and np.isfinite(found["value"])
        assert found["low"] <= found["value"] <= found["high"]
    answered = rows(output)
    assert len(answered) == len(shots) * summary["items"]
    assert any("of the release's" in note for note in summary["notes"]) == bool(benchmark.sizes)  # here it is small
    for row in answered:
        assert row["prompt"].count("<image>") == row["shots"] + 1
        assert len(row["support"]) == (row["shots"] or benchmark.text_examples)
        assert ("answer" in row) != ("scores" in row)
        if "scores" in row:
            assert len(row["scores"]) == row["candidates_total"] and max(row["scores"]) < 0
            likely = [candidate["score"] for candidate in row["candidates"][:5]]
            assert likely == sorted(row["scores"], reverse=True)[:5]
    page = (output / "examples.html").read_text()
    assert benchmark.title in page and "data:image/" in page


def test_scores_are_those_of_each_prompt_by_itself(session, tmp_path):
    """Batches, blocks of images and what is remembered change nothing; permutations are averaged."""
    write_release("hateful_memes", tmp_path)
    benchmark = BENCHMARKS["hateful_memes"]
    config = dataclasses.replace(QUICK, permutations=3)
    split = open_to_ask(benchmark, epath.Path(tmp_path), config)
    found = Asker(session, benchmark, split, config, "random", lambda query, place, count, seed: [3, 1, 0]).ask(
        range(4), 3, 0
    )
    for place, row in enumerate(found):
        query, values = split.queries[place], []
        for order in itertools.permutations([3, 1, 0]):
            items = [split.support[example] for example in order]
            text = "".join(f"<image>{item.prompt} {item.answer}<EOC>" for item in items) + f"<image>{query.prompt}"
            media = [item.medium.load() for item in (*items, query)]
            (each,) = session.score_candidates([(text, media)], [f" {word}" for word in query.candidates])
            values.append(each.log_likelihoods)
        means = [np.mean(chosen, axis=0) for chosen in itertools.permutations(values, 3)]
        assert any(np.allclose(row["scores"], mean, rtol=1e-4) for mean in means)
        assert row["support"] == [split.support[example].key for example in (3, 1, 0)]


def test_the_blind_model_sees_no_image(session, tmp_path):
    write_release("hateful_memes", tmp_path)
    benchmark = BENCHMARKS["hateful_memes"]
    split = open_to_ask(benchmark, epath.Path(tmp_path), QUICK)
    select = lambda query, place, count, seed: [0, 1]  # noqa: E731
    ask = [Asker(session, benchmark, split, QUICK, "random", select, blind).ask(range(4), 2, 0) for blind in (0, 1)]
    for seen, unseen in zip(*ask, strict=True):
        assert seen["prompt"] == unseen["prompt"] and seen["scores"] != unseen["scores"]
    swapped = dataclasses.replace(
        split, queries=[dataclasses.replace(item, medium=split.queries[0].medium) for item in split.queries]
    )
    again = Asker(session, benchmark, swapped, QUICK, "random", select, True).ask(range(4), 2, 0)
    assert [row["scores"] for row in again] == [row["scores"] for row in ask[1]]


def test_rices_shows_the_pictures_that_are_most_alike(session, tmp_path):
    """A query's picture that stands in the support set under another name is its nearest example, and the last."""
    write_release("okvqa", tmp_path / "release")
    folders = {split: next((tmp_path / "release").glob(f"{split}2014")) for split in ("train", "val")}
    train, val = (sorted(folder.glob("*.jpg")) for folder in folders.values())
    colours = [(250, 0, 0), (0, 250, 0), (0, 0, 250), (250, 250, 0), (0, 250, 250), (250, 0, 250), (0, 0, 0)]
    for colour, query, example in zip(colours, val, train, strict=False):
        for path in (query, example):  # that a model of random weights tells apart
            PillowImage.new("RGB", (64, 64), colour).save(path)
    config = dataclasses.replace(QUICK, shots=(4,), selections=("rices",))
    output = epath.Path(tmp_path) / "out"
    evaluated(session, BENCHMARKS["okvqa"], tmp_path / "release", config, output)
    support = json.loads((output / "support.json").read_text())
    twins = {str(query): str(example) for _, query, example in zip(colours, val, train, strict=False)}
    compared = [row for row in rows(output) if row["media"]["path"] in twins]
    assert compared
    for row in compared:
        assert support[row["support"][-1]]["path"] == twins[row["media"]["path"]]


def test_answers_of_a_split_without_references_are_for_the_server(session, tmp_path):
    write_release("vqav2", tmp_path / "release")
    config = dataclasses.replace(QUICK, shots=(0,), split="test-dev", decoding=Decoding(max_new_tokens=2))
    output = epath.Path(tmp_path) / "out"
    summary = evaluated(session, BENCHMARKS["vqav2"], tmp_path / "release", config, output)
    assert not summary["references"] and not summary["results"]
    (path,) = (output / "server").iterdir()
    handed_in = json.loads(path.read_text())
    assert {str(entry["question_id"]) for entry in handed_in} == {row["key"] for row in rows(output)}


def test_seeds_that_make_no_difference_are_one(session, tmp_path):
    """Prompts of ranked 0 shots are the same by each seed: three commands do not find an interval of width 0."""
    write_release("hateful_memes", tmp_path / "release")
    output = epath.Path(tmp_path) / "out"
    for seed in (1, 2):
        config = dataclasses.replace(QUICK, shots=(0,), seeds=(seed,))
        (found,) = evaluated(session, BENCHMARKS["hateful_memes"], tmp_path / "release", config, output)["results"]
    assert [each["seed"] for each in found["seeds"]] == [0] and found["interval"] == "bootstrap over items"


def test_other_settings_need_another_folder(session, tmp_path):
    write_release("hateful_memes", tmp_path / "release")
    output = epath.Path(tmp_path) / "out"
    config = dataclasses.replace(QUICK, shots=(0,))
    arguments = (session, BENCHMARKS["hateful_memes"], tmp_path / "release")
    evaluated(*arguments, config, output)
    with pytest.raises(ConfigError, match=r"other settings \(batch_size 4, now 2\): give another --output"):
        evaluated(*arguments, dataclasses.replace(config, batch_size=2), output)


def test_a_damaged_picture_is_named(session, tmp_path):
    write_release("hateful_memes", tmp_path / "release")
    for picture in (tmp_path / "release" / "img").iterdir():
        picture.write_bytes(picture.read_bytes()[:40])
    with pytest.raises(ConfigError, match=r"img/\d+\.png: .*damaged: fetch it again"):
        evaluated(session, BENCHMARKS["hateful_memes"], tmp_path / "release", QUICK, epath.Path(tmp_path / "o"))


def test_the_score_is_of_what_was_said(session, tmp_path):
    """The summary is the benchmark's own score of the rows."""
    write_release("vqav2", tmp_path / "release")
    output = epath.Path(tmp_path) / "out"
    benchmark = dataclasses.replace(BENCHMARKS["vqav2"], max_new_tokens=3)
    config = dataclasses.replace(QUICK, shots=(0,), seeds=(0, 1, 2))
    summary = evaluated(session, benchmark, tmp_path / "release", config, output)
    split = open_to_ask(benchmark, epath.Path(tmp_path) / "release", config)
    values = []
    for seed in range(3):
        said = {row["key"]: row["answer"] for row in rows(output) if row["seed"] == seed}
        values.append(benchmark.score(split.queries, [Prediction(said[item.key]) for item in split.queries]).value)
    (found,) = summary["results"]
    assert [each["value"] for each in found["seeds"]] == values and found["value"] == pytest.approx(np.mean(values))


@pytest.mark.slow
def test_a_killed_evaluation_ends_as_if_it_had_not_been(workdir, tmp_path):
    """Killed with -9 again and again, anywhere; the summary and all rows are the same, bit for bit."""
    write_release("okvqa", tmp_path / "release")
    command = [sys.executable, "-m", "flamingo_jax.evaluate", f"--workdir={workdir}", "--benchmark=okvqa"]
    command += [f"--data_dir={tmp_path / 'release'}", "--shots=0,4", "--seeds=0,1", "--support=random,rices"]
    command += ["--batch_size=1", "--answer_tokens=4"]

    def files(name: str) -> dict[str, bytes]:
        folder = tmp_path / name
        paths = [folder / "summary.json", *sorted((folder / "rows").iterdir())]
        return {str(path.relative_to(folder)): path.read_bytes() for path in paths}

    subprocess.run([*command, f"--output={tmp_path / 'whole'}"], check=True, timeout=600)
    rng, kills = np.random.default_rng(0), 0
    while True:
        process = subprocess.Popen([*command, f"--output={tmp_path / 'killed'}"], stderr=subprocess.DEVNULL)
        began, seen = time.monotonic(), _size(tmp_path / "killed")
        wait = rng.uniform(0, 1.5)
        while process.poll() is None and (kills >= 6 or _size(tmp_path / "killed") == seen):
            time.sleep(0.02)
            assert time.monotonic() - began < 600
        time.sleep(wait)
        if process.poll() is not None:
            assert process.returncode == 0
            break
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        kills += 1
    assert kills >= 3
    assert files("killed") == files("whole")


def _size(folder) -> int:
    """Bytes of answers so far."""
    return sum(path.stat().st_size for path in folder.glob("rows/*.jsonl"))


def test_the_summary_is_of_all_that_was_asked(session, tmp_path):
    """One command for each number of shots, or one for all: the figures are the same."""
    write_release("hateful_memes", tmp_path / "release")
    benchmark, folder = BENCHMARKS["hateful_memes"], tmp_path / "release"
    settings = [{"shots": (0,)}, {"shots": (1,), "selections": ("random", "rices")}, {"shots": (1,), "blind": True}]
    for more in settings:
        last = evaluated(session, benchmark, folder, dataclasses.replace(QUICK, **more), epath.Path(tmp_path / "a"))
    whole = dataclasses.replace(QUICK, shots=(0, 1), selections=("random", "rices"))
    whole = evaluated(session, benchmark, folder, whole, epath.Path(tmp_path / "b"))
    assert last["results"] == whole["results"]
    assert [(found["selection"], found["shots"]) for found in last["results"]] == [
        ("random", 0),
        ("random", 1),
        ("rices", 1),
    ]
    assert [found["shots"] for found in last["baselines"]] == [1]


def test_another_models_answers_are_not_taken_for_this_ones(session, tmp_path):
    write_release("hateful_memes", tmp_path / "release")
    arguments = BENCHMARKS["hateful_memes"], tmp_path / "release", dataclasses.replace(QUICK, shots=(0,))
    evaluated(session, *arguments, epath.Path(tmp_path / "out"))
    other = jax.tree.map(lambda leaf: leaf, session.params)
    other["language_model"]["new_rows"] = 2 * other["language_model"]["new_rows"]
    with pytest.raises(ConfigError, match=r"other settings \(parameters '\w+', now '\w+'\)"):
        evaluated(dataclasses.replace(session, params=other), *arguments, epath.Path(tmp_path / "out"))


@pytest.mark.parametrize(
    "name, more, message",
    [
        ("hateful_memes", {"decoding": Decoding()}, "HatefulMemes ranks candidates"),
        ("vqav2", {"permutations": 2}, "answers to VQAv2 are written"),
        ("vqav2", {"split": "train"}, "split 'train' is for examples"),
        ("visdial", {"split": "train"}, "split 'train' is for examples"),
    ],
)
def test_what_does_nothing_is_refused(name, more, message, tmp_path):
    write_release(name, tmp_path)
    with pytest.raises(ConfigError, match=message):
        open_to_ask(BENCHMARKS[name], epath.Path(tmp_path), dataclasses.replace(QUICK, **more))


@pytest.mark.parametrize("content", ["", "[]", "3"])
def test_damaged_settings_are_named(session, tmp_path, content):
    write_release("hateful_memes", tmp_path / "release")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "settings.json").write_text(content)
    with pytest.raises(ConfigError, match=r"settings.json is damaged|other settings"):
        evaluated(session, BENCHMARKS["hateful_memes"], tmp_path / "release", QUICK, epath.Path(tmp_path / "out"))
