"""Accuracies of open-ended video question answering."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flamingo_jax.evaluation.metrics.ivqa import ivqa_accuracy, top1
from tests.evaluation.metrics.goldens import golden

INPUTS, OUTPUTS = golden("ivqa_msvdqa_accuracy")
VOCABULARY = set(INPUTS["vocabulary"])
CASES = list(zip(INPUTS["predictions"], INPUTS["answers"], strict=True))


def test_ivqa_accuracy_is_that_of_the_official_evaluation():
    assert [ivqa_accuracy(ranked[0], answers, VOCABULARY) for ranked, answers in CASES] == OUTPUTS["ivqa"]["acc"]
    best = [max(ivqa_accuracy(text, answers, VOCABULARY) for text in ranked) for ranked, answers in CASES]
    assert best == OUTPUTS["ivqa"]["acc10"]


def test_top_1_is_that_of_the_official_evaluation():
    assert [top1(ranked[0], answers[0], VOCABULARY) for ranked, answers in CASES] == OUTPUTS["top1"]["acc"]
    best = [max(top1(text, answers[0], VOCABULARY) for text in ranked) for ranked, answers in CASES]
    assert best == OUTPUTS["top1"]["acc10"]


@given(st.sampled_from("abc"), st.lists(st.sampled_from("abc"), min_size=1, max_size=5))
def test_two_people_are_enough(prediction, answers):
    assert ivqa_accuracy(prediction, answers) == {0: 0, 1: 0.5}.get(answers.count(prediction), 1)


def test_what_the_vocabulary_lacks_is_wrong():
    assert ivqa_accuracy("cat", ["cat"] * 5, {"dog"}) == 0
    assert top1("cat", "cat", {"dog"}) == 0
    assert top1("cat", "cat") == 1


def test_texts_are_compared_as_they_are():
    assert top1("Cat", "cat") == 0
    assert ivqa_accuracy("cat ", ["cat"] * 5) == 0


@pytest.mark.parametrize("text", ["NA", "nan", "None", "", "null"])
def test_what_the_official_reader_takes_for_missing_is_never_right(text):
    assert ivqa_accuracy(text, [text] * 5, {text}) == 0
    assert top1(text, text) == 0


def test_no_answer_is_an_error():
    with pytest.raises(ValueError, match="at least one answer"):
        ivqa_accuracy("cat", [])
