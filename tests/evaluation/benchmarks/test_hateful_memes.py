"""HatefulMemes: prompts with the written text, and the area under the curve."""

import json
import math

import pytest
from etils import epath

from flamingo_jax.config import ConfigError
from flamingo_jax.evaluation.benchmarks.benchmark import Prediction
from flamingo_jax.evaluation.benchmarks.hateful_memes import BENCHMARK
from tests.evaluation.benchmarks.releases import hateful_memes as small


@pytest.fixture
def folder(tmp_path) -> epath.Path:
    small.write(tmp_path)
    return epath.Path(tmp_path)


def test_items(folder):
    items = BENCHMARK.read(folder, "test_seen")
    assert len(items) == 6
    assert items[0].key == "01535"
    assert items[0].medium.path == f"{folder}/img/01535.png"
    assert items[0].prompt == 'is an image with written: "look at this white "triangle"" on it. Is it hateful? Answer:'
    assert [(item.answer, item.references) for item in items[:2]] == [("yes", ("yes",)), ("no", ("no",))]
    assert all(item.candidates == ("no", "yes") and item.label == -1 for item in items)


def test_a_meme_that_is_listed_twice_stays_with_a_key_of_its_own(folder):
    items = BENCHMARK.read(folder, "train")
    assert len(items) == 9
    assert items[8].key == "01235#2" and items[8].medium == items[0].medium


def test_ids_may_be_texts(folder):
    path = folder / "test_seen.jsonl"
    records = [json.loads(line) for line in path.read_text().splitlines()]
    path.write_text("\n".join(json.dumps(record | {"id": f"{record['id']:05d}"}) for record in records))
    assert BENCHMARK.read(folder, "test_seen")[0].key == "01535"


def test_the_score_is_the_area_under_the_curve(folder):
    items = BENCHMARK.read(folder, "test_seen")
    sure = [0.9 if item.references == ("yes",) else 0.2 for item in items]
    predictions = [Prediction(scores=(math.log(1 - value), math.log(value))) for value in sure]
    assert BENCHMARK.score(items, predictions).value == pytest.approx(100)
    assert BENCHMARK.score(items, predictions).per_item == ()
    turned = [Prediction(scores=one.scores[::-1]) for one in predictions]
    assert BENCHMARK.score(items, turned).value == pytest.approx(0)
    assert BENCHMARK.score(items, [Prediction(scores=(-1.0, -1.0))] * 6).value == pytest.approx(50)


def test_only_the_difference_of_the_two_candidates_counts(folder):
    items = BENCHMARK.read(folder, "test_seen")
    shifted = [
        Prediction(scores=(-float(place**2), -float(place**2) + (1 if item.references == ("yes",) else -1)))
        for place, item in enumerate(items)
    ]
    assert BENCHMARK.score(items, shifted).value == pytest.approx(100)


def test_memes_of_one_label_have_no_area(folder):
    items = [item for item in BENCHMARK.read(folder, "test_seen") if item.answer == "yes"]
    assert math.isnan(BENCHMARK.score(items, [Prediction(scores=(-1.0, -2.0))] * len(items)).value)


def test_memes_without_public_labels_are_read_but_not_scored(folder):
    path = folder / "test_unseen.jsonl"
    records = [json.loads(line) for line in path.read_text().splitlines()]
    for record in records:
        del record["label"]
    path.write_text("\n".join(map(json.dumps, records)))
    items = BENCHMARK.read(folder, "test_unseen")
    assert not any(item.references or item.answer for item in items)
    with pytest.raises(ConfigError, match="HatefulMemes: 6 of 6 items, such as 01635, have no public answers"):
        BENCHMARK.score(items, [Prediction(scores=(-1.0, -2.0))] * 6)


def test_another_label_is_named(folder):
    path = folder / "test_seen.jsonl"
    path.write_text('{"id": 7, "img": "img/00007.png", "label": 2, "text": ""}\n')
    with pytest.raises(ConfigError, match=r'test_seen\.jsonl, meme 00007: "label" is 2 instead of 0 or 1'):
        BENCHMARK.read(folder, "test_seen")
