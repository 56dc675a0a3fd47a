"""OK-VQA accuracy with OpenFlamingo's stems."""

import pytest

from flamingo_jax.evaluation.metrics.okvqa import okvqa_accuracy, stem
from flamingo_jax.evaluation.metrics.vqa_rules import cut
from tests.evaluation.metrics.goldens import golden

INPUTS, OUTPUTS = golden("okvqa_openflamingo")
CASES = list(zip(INPUTS, OUTPUTS["per_question"], strict=True))


def test_predictions_are_cut_and_stemmed_as_by_openflamingo():
    assert [cut(item["prediction"]) for item, _ in CASES] == [official["prediction_truncated"] for _, official in CASES]
    found = [stem(cut(item["prediction"])) for item, _ in CASES]
    assert found == [official["prediction_processed"] for _, official in CASES]


def test_answers_are_stemmed_as_by_openflamingo():
    found = [[stem(answer) for answer in item["answers"][::2]] for item, _ in CASES]
    assert found == [official["answers_stemmed"][::2] for _, official in CASES]


def test_accuracy_is_that_of_openflamingo():
    found = [100 * okvqa_accuracy(item["prediction"], official["answers_stemmed"]) for item, official in CASES]
    assert found == pytest.approx([official["accuracy"] for _, official in CASES], abs=1e-9)
    assert sum(found) / len(found) == pytest.approx(OUTPUTS["overall"], abs=1e-9)


@pytest.mark.parametrize(
    ("text", "stems"),
    [
        ("surfing", "surf"),
        ("swimming dogs", "swim dog"),
        ("Dogs", "Dog"),
        ("buildings", "build"),  # from the table
        ("christmas trees", "christmas tree"),
        ("king", "king"),
        ("", ""),
        ("the dog's bone.", "the dog 's bone ."),
    ],
)
def test_stem(text, stems):
    assert stem(text) == stems
