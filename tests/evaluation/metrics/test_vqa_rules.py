"""VQA accuracy by the rules of VizWiz, TextVQA and OpenFlamingo."""

import pytest

from flamingo_jax.evaluation.metrics.vqa_rules import cut, openflamingo_accuracy, textvqa_accuracy, vizwiz_accuracy


@pytest.mark.parametrize(
    ("prediction", "answers", "accuracy"),
    [
        ("Unanswerable", ["unanswerable"] * 10, 1),
        ("unanswerable.", ["unanswerable"] * 10, 1),
        ("a laptop", ["laptop"] * 10, 1),
        ("7-up", ["7-up"] * 6 + ["sprite", "7up", "can", "soda"], 0),  # the prediction alone becomes "7 up"
        ("two", ["two"] * 10, 0),
        ("two", ["2"] * 2 + ["two"] * 8, 0.6),
        ("dont know", ["don't know"] * 10, 1),
    ],
)
def test_vizwiz_normalizes_the_prediction_alone(prediction, answers, accuracy):
    assert vizwiz_accuracy(prediction, answers) == pytest.approx(accuracy)


@pytest.mark.parametrize(
    ("prediction", "answer", "accuracy"),
    [
        ("levi's", "levi 's", 1),
        ("denver,colorado", "denver colorado", 0),
        ("denver,colorado", "denvercolorado", 1),
        ("11,22 33-44", "11,22 33 44", 1),  # without its comma the dash becomes a space
        ("what's up", "whats up", 0),
        ("Nokia?", "nokia", 1),
        ("The Nokia.", "nokia", 1),
    ],
)
def test_textvqa_drops_commas_and_parts_the_genitive_first(prediction, answer, accuracy):
    assert textvqa_accuracy(prediction, [answer] * 10) == accuracy


@pytest.mark.parametrize(
    ("prediction", "accuracy"),
    [("Red.", 1), ("red, white", 1), ("red Question: What", 1), ("red Short answer", 1), ("red white", 0)],
)
def test_openflamingo_cuts_and_then_normalizes(prediction, accuracy):
    assert openflamingo_accuracy(prediction, ["red"] * 10) == accuracy


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        (" surfing Question: What", " surfing "),
        ("Answer: surfing", ""),
        ("two, three", "two"),
        ("1,000", "1,000"),
        ("answer", "answer"),
        ("a Short Answer", "a "),
        ("", ""),
    ],
)
def test_cut(written, kept):
    assert cut(written) == kept


@pytest.mark.parametrize("score", [vizwiz_accuracy, textvqa_accuracy, openflamingo_accuracy])
def test_no_answer_is_an_error(score):
    with pytest.raises(ValueError, match="at least one answer"):
        score("cat", [])
