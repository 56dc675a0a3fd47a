"""WUPS of NExT-QA."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flamingo_jax.evaluation.metrics.wups import lemmas, similarity, table, word_similarity, wups
from tests.evaluation.metrics.goldens import golden

INPUTS, OUTPUTS = golden("nextqa_wups")
CASES = list(zip(INPUTS, OUTPUTS["per_question"], strict=True))
TYPES = [item["type"] for item in INPUTS]
THRESHOLDS = {0.0: "wups0", 0.9: "wups9"}


@pytest.mark.parametrize("kind", ["answer", "prediction", "additional"])
def test_lemmas_are_the_official_ones(kind):
    key = "additional_answer" if kind == "additional" else kind
    found = [lemmas(item[key]) for item, _ in CASES if item[key] is not None]
    assert found == [official[f"{kind}_lemmas"] for item, official in CASES if item[key] is not None]


@pytest.mark.parametrize("threshold", THRESHOLDS)
def test_wups_is_that_of_the_official_evaluation(threshold):
    name = THRESHOLDS[threshold]
    found = [wups(item["prediction"], item["answer"], threshold, question_type=item["type"]) for item in INPUTS]
    assert found == pytest.approx([official[name] for _, official in CASES], abs=1e-9)
    printed = {key: round(100 * value, 2) for key, value in table(TYPES, found).items()}
    assert printed == OUTPUTS["official_tables"][f"single_reference/wups{threshold}"]
    assert 100 * table(TYPES, found)["WUPS"] == pytest.approx(OUTPUTS["corpus"][name], abs=1e-9)


@pytest.mark.parametrize("threshold", THRESHOLDS)
def test_the_better_of_two_answers_counts(threshold):
    name = f"{THRESHOLDS[threshold]}_multi"
    found = [
        wups(item["prediction"], item["answer"], threshold, item["additional_answer"], question_type=item["type"])
        for item in INPUTS
    ]
    assert found == pytest.approx([official[name] for _, official in CASES], abs=1e-9)
    printed = {key: round(100 * value, 2) for key, value in table(TYPES, found).items()}
    assert printed == OUTPUTS["official_tables"][f"with_additional_reference/wups{threshold}"]


@pytest.mark.parametrize("threshold", THRESHOLDS)
def test_similarity_of_texts_as_they_are(threshold):
    found = [similarity(item["prediction"], item["answer"], threshold) for item in INPUTS]
    assert found == pytest.approx([official[f"raw_{THRESHOLDS[threshold]}"] for _, official in CASES], abs=1e-9)


def test_similarity_of_words_is_that_of_the_pinned_version():
    rows = OUTPUTS["word_pairs"]["rows"]
    for place, threshold in enumerate(THRESHOLDS, start=2):
        found = [word_similarity(one, other, threshold) for one, other, *_ in rows]
        assert found == pytest.approx([row[place] for row in rows], abs=1e-9)


words = st.sampled_from(["dog", "cat", "ride", "quickly", "red", "qzxv", "woman"])


@given(st.lists(words, max_size=4), st.lists(words, max_size=4))
def test_similarity_is_a_share_and_does_not_depend_on_the_order_of_words(one, other):
    value = similarity(" ".join(one), " ".join(other), 0.0)
    assert 0 <= value <= 1
    assert similarity(" ".join(reversed(one)), " ".join(other), 0.0) == pytest.approx(value)
    assert similarity(" ".join(one), " ".join(other), 0.9) <= value + 1e-12


def test_counts_and_yes_or_no_must_be_equal():
    assert wups("the cats", "cat", 0.0, question_type="DC") == 1
    assert wups("kitten", "cat", 0.0, question_type="DB") == 0
    assert 0 < wups("kitten", "cat", 0.0, question_type="DO") < 1
    assert wups("two", "three", 0.0, "2", question_type="DC") == 0
    assert wups("two", "three", 0.0, "two", question_type="DC") == 1


def test_empty_texts():
    assert wups("", "", 0.0) == 0
    assert wups("the", "a", 0.0, question_type="DB") == 1
    assert similarity("", "dog", 0.0) == 0


def test_table_leaves_out_what_nobody_asked():
    assert table(["TP", "TN", "DC"], [1.0, 0.0, 1.0]) == pytest.approx(
        {"TPN": 0.5, "WUPS_T": 0.5, "DC": 1.0, "WUPS_D": 1.0, "WUPS": 2 / 3}
    )


@pytest.mark.parametrize(
    ("types", "scores", "message"),
    [
        (["CW"], [], "0 scores for 1"),
        ([], [], "at least one question"),
        (["XX"], [1.0], "unknown type of question 'XX'"),
    ],
)
def test_what_does_not_fit_is_an_error(types, scores, message):
    with pytest.raises(ValueError, match=message):
        table(types, scores)
