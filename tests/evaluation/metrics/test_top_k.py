"""Top-k accuracy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from flamingo_jax.evaluation.metrics.top_k import top_k
from tests.evaluation.metrics.goldens import golden

INPUTS, OUTPUTS = golden("kinetics700")


@pytest.mark.parametrize("k", [1, 5])
def test_hits_are_those_of_the_official_evaluation(k):
    found = top_k(np.array(INPUTS["scores"]), np.array(INPUTS["labels"]), k)
    np.testing.assert_array_equal(found, np.array(OUTPUTS[f"hit{k}"], bool))
    assert found.mean() == pytest.approx(OUTPUTS[f"top{k}"], abs=1e-9)


@given(
    arrays.arrays(np.float64, (4, 5), elements=st.sampled_from([0.0, 1.0, 2.0])), st.integers(0, 4), st.integers(1, 6)
)
def test_hits_by_sorting(scores, label, k):
    ranked = [sorted(range(5), key=lambda kind, own=own: (-own[kind], kind)) for own in scores]
    expected = [label in order[:k] for order in ranked]
    np.testing.assert_array_equal(top_k(scores, np.full(4, label), k), expected)


@pytest.mark.parametrize(
    ("scores", "labels", "k", "message"),
    [
        (np.zeros((2, 3)), np.array([0]), 1, "items, classes"),
        (np.zeros((1, 3)), np.array([3]), 1, "from 0 to 2"),
        (np.zeros((1, 3)), np.array([-1]), 1, "from 0 to 2"),
        (np.zeros((1, 3)), np.array([0]), 0, "at least 1"),
        (np.full((1, 3), np.nan), np.array([0]), 1, "NaN"),
    ],
)
def test_what_does_not_fit_is_an_error(scores, labels, k, message):
    with pytest.raises(ValueError, match=message):
        top_k(scores, labels, k)
