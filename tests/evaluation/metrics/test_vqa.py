"""VQA accuracy and the normal form of answers."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flamingo_jax.evaluation.metrics.vqa import normalize, vqa_accuracy, vqa_accuracy_always_normalized
from tests.evaluation.metrics.goldens import golden

INPUTS, OUTPUTS = golden("vqa_accuracy")


def test_accuracy_is_that_of_the_official_evaluation():
    found = [100 * vqa_accuracy(item["prediction"], item["answers"]) for item in INPUTS]
    assert [round(value, 2) for value in found] == OUTPUTS["per_question"]
    assert sum(found) / len(found) == pytest.approx(OUTPUTS["overall_12"], abs=1e-9)


def test_accuracy_is_that_of_openflamingo():
    found = [100 * vqa_accuracy_always_normalized(item["prediction"], item["answers"]) for item in INPUTS]
    assert [round(value, 2) for value in found] == OUTPUTS["openflamingo"]["per_question"]


def test_normal_forms_are_the_official_ones():
    assert [normalize(item["prediction"]) for item in INPUTS] == OUTPUTS["normalized_prediction"]
    assert [[normalize(text) for text in item["answers"]] for item in INPUTS] == OUTPUTS["normalized_answers"]


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("A dog, and THE cat!", "dog and cat"),
        ("e-mail", "e mail"),
        ("e- mail-box", "e mailbox"),  # a dash beside a space makes every dash vanish
        ("1,000 e-mails", "1000 emails"),  # and a comma between digits every mark
        ("3.5 in.", "3.5 in"),
        ("none", "0"),
        ("Ten", "10"),
        ("dont", "don't"),
        ("couldnt've", "couldn't've"),
        ("couldn'tve", "couldn't've"),
        ("couldntve", "couldntve"),
        ("ive", "ive"),
        ("somebody'd", "somebodyd"),
        ("the", ""),
        ("." * 40, "." * 8),
        (" a\tb\n", "b"),
        ("rock 'n' roll: 50%", "rock 'n' roll: 50%"),
    ],
)
def test_normal_form(text, normal):
    assert normalize(text) == normal


def test_digits_of_other_scripts_count_for_openflamingo_alone():
    assert normalize("٣,٤") == "٣ ٤"
    assert normalize("٣,٤", unicode_digits=True) == "٣٤"


def test_unanimous_answers_are_compared_as_they_are():
    assert vqa_accuracy("yes", ["Yes"] * 10) == 0
    assert vqa_accuracy(" Yes\n", ["Yes"] * 10) == 1
    assert vqa_accuracy_always_normalized("yes.", ["Yes"] * 10) == 1


@pytest.mark.parametrize(("matches", "accuracy"), [(0, 0), (1, 0.3), (2, 0.6), (3, 0.9), (4, 1), (9, 1)])
def test_accuracy_by_the_number_of_people_who_agree(matches, accuracy):
    answers = ["cat"] * matches + [f"dog{place}" for place in range(10 - matches)]
    assert vqa_accuracy("cat", answers) == pytest.approx(accuracy)


@given(st.sampled_from("abc"), st.lists(st.sampled_from("abc"), min_size=1, max_size=12))
def test_accuracy_is_the_mean_over_who_is_left_out(prediction, answers):
    normal = {"a": ""}  # an article
    said = normal.get(prediction, prediction)
    heard = [normal.get(answer, answer) for answer in answers]
    left = [heard[:place] + heard[place + 1 :] for place in range(len(heard))]
    expected = sum(min(others.count(said) / 3, 1) for others in left) / len(heard)
    assert vqa_accuracy_always_normalized(prediction, answers) == pytest.approx(expected)


@given(st.text(alphabet="ab the1.,-'/ \t\n?", max_size=20))
def test_normal_form_has_no_article_nor_mark(text):
    normal = normalize(text)
    assert not set(normal) & set(';/[]"{}()=+\\_-><@`,?!')
    assert normal == " ".join(normal.split())
    assert not {"a", "an", "the"} & set(normal.split())


@given(st.lists(st.text(alphabet="ab ", max_size=3), min_size=1, max_size=5), st.text(alphabet="ab ", max_size=3))
def test_order_of_the_answers_does_not_matter(answers, prediction):
    scores = {round(vqa_accuracy(prediction, order), 12) for order in itertools.permutations(answers)}
    assert len(scores) == 1


@pytest.mark.parametrize("score", [vqa_accuracy, vqa_accuracy_always_normalized])
def test_no_answer_is_an_error(score):
    with pytest.raises(ValueError, match="at least one answer"):
        score("cat", [])
