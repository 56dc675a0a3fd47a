"""Answers that mean the same."""

import itertools
import math

import pytest

from flamingo_jax.data.scenes.words import BACKGROUNDS, COLOURS, SHAPES
from flamingo_jax.evaluation.confidence.meaning import entropy, groups, same_meaning


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Red.", "red"),
        ("a dog", "Dogs"),
        ("two", "2"),
        ("car", "an automobile"),
        ("fire truck", "fire engine"),
        ("dont", "don't"),
        ("", "the"),
        ("red star", "a red  star!"),
    ],
)
def test_the_same(one, other):
    assert same_meaning(one, other) and same_meaning(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [("red", "blue"), ("yes", "no"), ("a car", "a red car"), ("cat", "dog"), ("", "red"), ("1", "2"), ("man", "woman")],
)
def test_not_the_same(one, other):
    assert not same_meaning(one, other) and not same_meaning(other, one)


def test_no_two_words_for_what_pictures_show_mean_the_same():
    for one, other in itertools.combinations(COLOURS + SHAPES + BACKGROUNDS, 2):
        assert not same_meaning(one, other), (one, other)


def test_answers_join_the_first_that_they_mean_the_same_as():
    assert groups(["car", "red", "Automobile", "RED", "blue", "cars"]) == [0, 1, 0, 1, 2, 0]
    assert groups([]) == []


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        (["red"] * 5, 0),
        (["red", "blue", "green", "cat"], math.log(4)),
        # 3 of one meaning and 1 of another: -(3/4) ln(3/4) - (1/4) ln(1/4).
        (["car", "automobile", "cars", "dog"], 0.562335),
    ],
)
def test_entropy_is_of_meanings(answers, expected):
    assert entropy(answers) == pytest.approx(expected, abs=1e-6)
