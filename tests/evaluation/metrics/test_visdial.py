"""NDCG and ranks of visual dialogue."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from flamingo_jax.evaluation.metrics.visdial import ndcg, ranks, retrieval
from tests.evaluation.metrics.goldens import FOLDER

with np.load(FOLDER / "visdial_ndcg.npz", allow_pickle=False) as _file:
    GOLDEN = dict(_file)
CORPUS = json.loads(str(GOLDEN["meta_json"]))["outputs_corpus"]


def test_ndcg_is_that_of_the_official_evaluation():
    found = ndcg(GOLDEN["scores"], GOLDEN["relevance"])
    np.testing.assert_allclose(found, GOLDEN["ndcg"], atol=1e-5, rtol=0)
    assert found.mean() == pytest.approx(CORPUS["ndcg"], abs=1e-5)


def test_ranks_are_those_of_the_official_evaluation():
    found = ranks(GOLDEN["scores"], GOLDEN["gt_index"])
    np.testing.assert_array_equal(found, GOLDEN["gt_rank"])
    assert retrieval(found) == pytest.approx(
        {key: CORPUS[key] for key in ("r@1", "r@5", "r@10", "mean", "mrr")}, abs=1e-5
    )


rounds = st.integers(1, 6).flatmap(
    lambda options: st.tuples(
        arrays.arrays(np.float64, (3, options), elements=st.sampled_from([0.0, 1.0, 2.0])),
        arrays.arrays(np.float64, (3, options), elements=st.sampled_from([0.0, 0.4, 1.0])),
    )
)


@given(rounds)
def test_ndcg_and_ranks_by_brute_force(drawn):
    scores, relevance = drawn
    found = ndcg(scores, relevance)
    for place, (of, gains) in enumerate(zip(scores, relevance, strict=True)):
        order = sorted(range(len(of)), key=lambda option: (-of[option], option))
        k = sum(gain != 0 for gain in gains)

        def gained(options, gains=gains, k=k):
            return sum(gains[option] / np.log2(rank + 1) for rank, option in enumerate(options[:k], start=1))

        best = gained(sorted(range(len(of)), key=lambda option, gains=gains: -gains[option]))
        assert found[place] == pytest.approx(gained(order) / best) if k else np.isnan(found[place])
        for option in range(len(of)):
            assert ranks(of[None], np.array([option])) == order.index(option) + 1


def test_one_round_and_a_round_without_relevant_options():
    assert ndcg(np.array([[3.0, 1.0]]), np.array([[0.0, 0.5]])) == pytest.approx(0)
    assert np.isnan(ndcg(np.ones((1, 4)), np.zeros((1, 4)))).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ndcg(np.zeros((2, 3)), np.zeros((2, 4))), "one shape"),
        (lambda: ndcg(np.zeros(3), np.zeros(3)), "rounds, options"),
        (lambda: ndcg(np.full((1, 2), np.nan), np.zeros((1, 2))), "NaN"),
        (lambda: ranks(np.zeros((2, 3)), np.array([0])), "one true option"),
        (lambda: ranks(np.zeros((1, 3)), np.array([3])), "from 0 to 2"),
        (lambda: ranks(np.zeros((1, 3)), np.array([0.5])), "whole numbers"),
        (lambda: retrieval(np.array([], int)), "one or more"),
        (lambda: retrieval(np.array([0])), "from 1 on"),
    ],
)
def test_what_does_not_fit_is_an_error(call, message):
    with pytest.raises(ValueError, match=message):
        call()
