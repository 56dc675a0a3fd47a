"""VisDial: dialogues as prompts, their answer options as candidates, and the score of a ranking."""

import json

import numpy as np
import pytest
from etils import epath

from flamingo_jax.config import ConfigError
from flamingo_jax.evaluation.benchmarks import visdial
from flamingo_jax.evaluation.benchmarks.benchmark import Prediction
from tests.evaluation.benchmarks.releases import visdial as small


@pytest.fixture
def folder(tmp_path) -> epath.Path:
    small.write(tmp_path)
    return epath.Path(tmp_path)


def _data(folder: epath.Path, split: str) -> dict:
    return json.loads((folder / f"visdial_1.0_{split}.json").read_text())["data"]


def test_val_asks_about_the_judged_round_of_each_judged_dialogue(folder):
    items = visdial.BENCHMARK.read(folder, "val")
    assert [item.key for item in items] == [str(378566 + number) for number in range(6)]
    data = _data(folder, "val")
    turns = data["dialogs"][2]["dialog"]
    said = [(data["questions"][turn["question"]], data["answers"][turn["answer"]]) for turn in turns]
    item = items[2]
    assert item.prompt == (
        "a blue triangle on a grey background "
        f"Question: {said[0][0]} Answer: {said[0][1]} Question: {said[1][0]} Answer: {said[1][1]} "
        f"Question: {said[2][0]} Answer:"
    )
    assert item.answer == said[2][1] and item.references == (said[2][1],)
    assert item.candidates == tuple(data["answers"][place] for place in turns[2]["answer_options"])
    assert item.candidates[item.details["gt_index"]] == item.answer
    assert item.details["round_id"] == 3 and item.details["image_id"] == 378568
    assert item.medium.path == f"{folder}/VisualDialog_val2018/VisualDialog_val2018_000000378568.jpg"
    assert items[0].prompt.count("Question:") == 1


def test_examples_are_whole_dialogues_of_train_with_pictures_of_either_folder(folder):
    items = visdial.BENCHMARK.read(folder, "train")
    assert len(items) == 8
    assert all(item.prompt.count("Question:") == 10 and item.candidates == () for item in items)
    assert [epath.Path(item.medium.path).parent.name for item in items[:2]] == ["train2014", "val2014"]
    assert items[1].medium.path.endswith("COCO_val2014_000000378467.jpg")


def test_the_options_of_train_are_not_kept(folder):
    from flamingo_jax.evaluation.benchmarks.visdial_files import read_dialogues

    rounds = [
        one for dialogue in read_dialogues(folder / "visdial_1.0_train.json", options=False) for one in dialogue.rounds
    ]
    assert len(rounds) == 80 and all(one.options == () and one.true == -1 for one in rounds)


def test_test_asks_about_the_last_round_and_its_answers_go_to_the_server(folder):
    items = visdial.BENCHMARK.read(folder, "test")
    assert [item.details["round_id"] for item in items] == [3 + (200 + number) % 8 for number in range(6)]
    assert all(item.references == () and item.answer == "" and len(item.candidates) == 100 for item in items)
    scores = np.random.default_rng(0).normal(size=(6, 100))
    sent = visdial.BENCHMARK.server_answers(items, [Prediction(scores=tuple(row)) for row in scores])
    assert (sent[0]["image_id"], sent[0]["round_id"]) == (378666, 3)
    ranks = np.array(sent[0]["ranks"])
    assert sorted(ranks) == list(range(1, 101)) and ranks[scores[0].argmax()] == 1 and ranks[scores[0].argmin()] == 100
    with pytest.raises(ConfigError, match=r"VisDial: 6 of 6 items, such as 378666, have no dense annotations"):
        visdial.BENCHMARK.score(items, [Prediction(scores=tuple(row)) for row in scores])


def test_the_best_ranking_scores_100_and_rounds_without_relevant_options_do_not_count(folder):
    items = visdial.BENCHMARK.read(folder, "val")
    score = visdial.BENCHMARK.score(items, [Prediction(scores=item.details["relevance"]) for item in items])
    assert score.value == pytest.approx(100)
    assert score.per_item == (*[pytest.approx(100)] * 5, None)
    assert score.parts["mrr"] > 5 / 6 and score.parts["r@1"] == pytest.approx(100 * 5 / 6)


def test_a_ranking_that_misses_the_relevant_options_scores_less(folder):
    items = visdial.BENCHMARK.read(folder, "val")
    upside_down = [Prediction(scores=tuple(-value for value in item.details["relevance"])) for item in items]
    score = visdial.BENCHMARK.score(items, upside_down)
    assert score.value == pytest.approx(0)
    assert score.parts["r@10"] <= 100 / 6 and score.parts["mean"] > 80


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data["dialogs"][1]["dialog"][0].update(question=99), r'image 378567, round 1: "question" has 99'),
        (lambda data: data["dialogs"][1].update(dialog=[]), "image 378567: the dialogue has no round"),
        (
            lambda data: data["dialogs"][1]["dialog"][1].update(answer_options=[0] * 99),
            "round 2 has 99 answer options, but the dense annotations judge 100",
        ),
        (lambda data: data["dialogs"][1].update(dialog=data["dialogs"][1]["dialog"][:1]), "there is no round 2 of 1"),
        (lambda data: data["dialogs"][1]["dialog"][1].pop("gt_index"), 'round 2: "gt_index" is no place'),
        (lambda data: data.pop("answers"), 'there is no "answers"'),
    ],
)
def test_tables_and_dialogues_that_do_not_fit_are_named(folder, change, message):
    path = folder / "visdial_1.0_val.json"
    content = json.loads(path.read_text())
    change(content["data"])
    path.write_text(json.dumps(content))
    with pytest.raises(ConfigError, match=message):
        visdial.BENCHMARK.read(folder, "val")
