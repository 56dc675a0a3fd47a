"""Area under the ROC curve."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flamingo_jax.evaluation.metrics.roc_auc import roc_auc
from tests.evaluation.metrics.goldens import golden

INPUTS, OUTPUTS = golden("hateful_memes_rocauc")


@pytest.mark.parametrize("name", INPUTS["scores"])
def test_area_is_that_of_the_official_evaluation(name):
    assert roc_auc(INPUTS["labels"], INPUTS["scores"][name]) == pytest.approx(OUTPUTS["roc_auc"][name], abs=1e-9)


items = st.lists(st.tuples(st.booleans(), st.integers(-2, 2)), min_size=2, max_size=15)
items = items.filter(lambda drawn: len({positive for positive, _ in drawn}) == 2)


@given(items)
def test_area_is_the_share_of_pairs_in_order(drawn):
    labels, scores = zip(*drawn, strict=True)
    pairs = [(one, other) for own, one in drawn if own for positive, other in drawn if not positive]
    expected = sum((one > other) + (one == other) / 2 for one, other in pairs) / len(pairs)
    assert roc_auc(labels, scores) == pytest.approx(expected)
    assert roc_auc([not label for label in labels], scores) == pytest.approx(1 - expected)
    assert roc_auc(labels, np.exp(scores)) == pytest.approx(expected)


def test_infinite_scores_have_an_order():
    assert roc_auc([1, 1, 0, 0], [np.inf, 0, 0, -np.inf]) == pytest.approx(0.875)


@pytest.mark.parametrize(
    ("labels", "scores", "message"),
    [
        ([1, 0], [0.5], "one score for each label"),
        ([1, 1], [0.5, 0.1], "both classes"),
        ([1, 2], [0.5, 0.1], "0 and 1"),
        ([1, 0], [0.5, np.nan], "NaN"),
        ([], [], "both classes"),
    ],
)
def test_what_does_not_fit_is_an_error(labels, scores, message):
    with pytest.raises(ValueError, match=message):
        roc_auc(labels, scores)
