import json

import pytest
from etils import epath

from flamingo_jax.config import ConfigError
from flamingo_jax.evaluation.benchmarks import star
from flamingo_jax.evaluation.benchmarks.benchmark import Prediction
from tests.evaluation.benchmarks.releases.star import write


@pytest.fixture
def folder(tmp_path):
    write(tmp_path)
    return epath.Path(tmp_path)


def choosing(item, text):
    return Prediction(scores=tuple(-1.0 if one == text else -3.0 for one in item.candidates))


def test_choices_are_candidates_and_situations_spans(folder):
    items = star.read(folder, "train")
    assert [item.key.partition("_")[0] for item in items] == list(star.TYPES) * 2
    second = items[1]
    assert second.key == "Sequence_T2_1" and second.medium.path == f"{folder}/Charades_v1_480/01THT.mp4"
    assert second.medium.span == (2.1, 5.0)
    assert second.prompt == "Question: What happened before the person sat down? Answer:"
    assert second.candidates == ("Took the cup.", "Put down the bag.", "Ate the food.", "Ran.")  # by number
    assert second.answer == "Took the cup." and second.references == ("Took the cup.",)
    assert second.label == -1  # examples are not balanced over the places of the true choices


def test_score_is_the_mean_over_types(folder):
    """Three, two, one and one questions of the four types."""
    items = star.read(folder, "val")
    right = [True, False, False, True, False, True, False]
    said = [
        choosing(item, item.answer if good else next(one for one in item.candidates if one != item.answer))
        for item, good in zip(items, right, strict=True)
    ]
    score = star.score(items, said)
    by_type = {"Interaction": 100 / 3, "Sequence": 50, "Prediction": 100, "Feasibility": 0}
    assert score.value == pytest.approx(sum(by_type.values()) / 4)
    assert score.parts == pytest.approx(by_type | {"all questions": 300 / 7})
    assert sum(score.per_item) / 7 == pytest.approx(score.value)
    assert [share > 0 for share in score.per_item] == right


def test_the_note_says_of_which_split_published_figures_are():
    assert star.BENCHMARK.query_split == "val" and "of test, whose answers are kept back" in star.BENCHMARK.note


def test_a_type_that_was_not_asked_about_does_not_count(folder):
    items = star.read(folder, "val")[:5]
    score = star.score(items, [choosing(item, item.answer) for item in items])
    assert score.value == pytest.approx(100) and set(score.parts) == {"Interaction", "Sequence", "all questions"}


def test_test_answers_go_to_the_leaderboard(folder):
    items = star.read(folder, "test")
    assert all(item.references == () and item.answer == "" and not item.details for item in items)
    said = [choosing(item, item.candidates[2]) for item in items]
    with pytest.raises(ConfigError, match="no public answers"):
        star.score(items, said)
    answers = star.server_answers(items, said)
    assert answers["Sequence"] == [{"question_id": "Sequence_T2_1", "answer": 2}]
    assert answers["Interaction"] == [{"question_id": "Interaction_T1_0", "answer": 2}]
    assert list(answers) == list(star.TYPES) and json.loads(json.dumps(answers)) == answers


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"answer": "Nothing."}, "the answer 'Nothing.' is none of the choices"),
        ({"question_id": "Other_T1_1"}, "begins with none of Interaction"),
        ({"start": None}, '"start"'),
        ({"end": -1.0}, "2.1 to -1.0 are no seconds"),
        ({"choices": [{"choice_id": 0}]}, '"choice"'),
        ({"choices": [{"choice_id": 1, "choice": "The cup."}]}, "the numbers .1. instead of 0"),
    ],
)
def test_records_of_another_kind_are_named(folder, change, message):
    path = folder / "STAR_val.json"
    records = json.loads(path.read_text())
    records[1] |= change
    path.write_text(json.dumps(records))
    with pytest.raises(ConfigError, match=message):
        star.read(folder, "val")
