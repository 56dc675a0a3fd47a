"""The questions that their pictures do not all answer."""

import collections
import dataclasses
import io
import json

import numpy as np
import pytest
from etils import epath
from PIL import Image

from data_pipelines.answerability import questions
from flamingo_jax.config import ConfigError
from flamingo_jax.data.scenes.words import VOCABULARIES
from flamingo_jax.evaluation.benchmarks import answerability
from flamingo_jax.evaluation.benchmarks.benchmark import Prediction
from flamingo_jax.evaluation.benchmarks.catalog import find
from flamingo_jax.evaluation.confidence.rule import ABSTENTION
from flamingo_jax.evaluation.fewshot.config import FewShotConfig
from flamingo_jax.evaluation.fewshot.opening import open_to_ask

BENCHMARK = find("answerability")
LINES = [json.loads(line) for line in answerability._FILE.read_text().splitlines()]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return epath.Path(tmp_path_factory.mktemp("drawn"))


@pytest.fixture(scope="module")
def split(folder):
    return open_to_ask(BENCHMARK, folder / "new", FewShotConfig(split="dev"))


def test_the_file_is_what_its_script_writes():
    assert list(questions()) == LINES


def test_half_cannot_be_answered():
    for name in ("dev", "test"):
        kinds = collections.Counter(line["kind"] for line in LINES if line["split"] == name)
        assert kinds == {"answerable": 300, "absent": 130, "noise": 130, "wrong image": 40}
        assert sum(line["answer"] is None for line in LINES if line["split"] == name) == 300
    asked = collections.Counter(line["asked"] for line in LINES if line["kind"] == "answerable")
    assert set(asked.values()) == {220}


def test_no_picture_is_in_two_splits():
    splits = collections.defaultdict(set)
    for line in LINES:
        splits[json.dumps(line["picture"], sort_keys=True)].add(line["split"])
    assert len(splits) == len(LINES) and all(len(each) == 1 for each in splits.values())
    assert len({line["key"] for line in LINES}) == len(LINES)


def test_what_a_question_names_is_there_or_not_as_its_kind_says():
    for line in LINES:
        words = {word.strip("?,") for word in line["prompt"].split()}
        named = {name: word for name, known in VOCABULARIES.items() for word in known if word in words}
        assert named and line["asked"] not in named
        true = all(line["picture"][name] == word for name, word in named.items())
        assert true == (line["kind"] in ("answerable", "noise"))
        if line["kind"] == "absent":
            assert line["asked"] == "colour" and set(named) == {"shape"}
        assert (line["picture"]["noise"] > 0) == (line["kind"] == "noise")
        assert (line["answer"] is None) == (line["kind"] != "answerable")
        assert line["answer"] in (None, line["picture"][line["asked"]])


def test_pictures_are_the_same_wherever_they_are_drawn(split):
    """The mean colours of a clean and of a drowned picture, as they were when the file was committed."""
    means = {}
    for item in reversed(split.queries):
        means[item.details["kind"]] = np.asarray(Image.open(io.BytesIO(item.medium.load().encoded))).mean(axis=(0, 1))
    np.testing.assert_allclose(means["answerable"], [166.11, 150.66, 138.02], atol=0.5)
    np.testing.assert_allclose(means["noise"], [129.03, 129.21, 128.25], atol=0.5)


def test_noise_drowns(split):
    """Neighbours in a drowned picture have nothing in common."""

    def likeness(item):
        pixels = np.asarray(Image.open(io.BytesIO(item.medium.load().encoded)), float).mean(axis=2)
        return np.corrcoef(pixels[:, 1:].ravel(), pixels[:, :-1].ravel())[0, 1]

    found = {kind: [] for kind in ("answerable", "noise")}
    for item in split.queries[:100]:
        if item.details["kind"] in found:
            found[item.details["kind"]].append(likeness(item))
    assert max(found["noise"]) < 0.1 and min(found["answerable"]) > 0.5


def test_examples_can_be_answered(split):
    assert len(split.support) == 60 and len(split.queries) == 600
    assert {item.details["kind"] for item in split.support} == {"answerable"}


def test_answers_to_what_cannot_be_answered_are_wrong(split):
    items = [item for item in split.queries if item.details["kind"] != "wrong image"]
    colours = VOCABULARIES["colour"]
    right = ["red" if item.answer == ABSTENTION else item.answer for item in items]
    score = BENCHMARK.score(items, [Prediction(f"{word}, I think") for word in right])
    assert score.parts["answerable"] == 100 and score.parts["absent"] == score.parts["noise"] == 0
    assert score.value == pytest.approx(100 * 300 / len(items))
    assert {name: score.parts[name] for name in VOCABULARIES} == dict.fromkeys(VOCABULARIES, 100)
    item = next(item for item in items if item.answer in colours)
    other = next(word for word in colours if word != item.answer)
    for said, share in ((f"{other} {item.answer}", 0), (f"{item.answer} {other}", 100), ("", 0), (ABSTENTION, None)):
        assert BENCHMARK.score([item], [Prediction(said)]).per_item == (share,)


def test_where_the_model_abstains_by_itself_the_question_does_not_count(split):
    items = split.queries[:10]
    assert np.isnan(BENCHMARK.score(items, [Prediction(ABSTENTION)] * 10).value)
    assert BENCHMARK.score(items, [Prediction(item.answer) for item in items]).value == 100


def test_a_split_that_is_not_there_is_refused(folder):
    with pytest.raises(ConfigError, match="no split 'validation', but train, dev, test"):
        open_to_ask(BENCHMARK, folder, dataclasses.replace(FewShotConfig(), split="validation"))
