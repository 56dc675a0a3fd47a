"""Intervals of scores."""

import math

import numpy as np
import pytest

from flamingo_jax.evaluation.metrics.intervals import bootstrap, bootstrap_statistic, over_seeds, paired
from flamingo_jax.evaluation.metrics.roc_auc import roc_auc

VALUES = np.random.default_rng(0).normal(50, 10, 400)


def test_bootstrap_is_near_the_normal_interval_of_many_items():
    mean, low, high = bootstrap(VALUES, resamples=4000)
    half = 1.96 * VALUES.std() / math.sqrt(len(VALUES))
    assert mean == pytest.approx(VALUES.mean())
    assert (low, high) == pytest.approx((mean - half, mean + half), abs=0.1)


def test_bootstrap_covers_the_truth_as_often_as_it_says():
    generator = np.random.default_rng(1)
    covered = 0
    for trial in range(300):
        _, low, high = bootstrap(generator.exponential(1.0, 60), resamples=300, level=0.8, seed=trial)
        covered += low <= 1.0 <= high
    assert 0.72 < covered / 300 < 0.86


def test_bootstrap_of_two_items_by_counting():
    # Means 0, 1/2 and 1 come with the chances 1/4, 1/2 and 1/4.
    assert bootstrap([0.0, 1.0], resamples=4000, level=0.4) == (0.5, 0.5, 0.5)
    assert bootstrap([0.0, 1.0], resamples=4000, level=0.9) == (0.5, 0.0, 1.0)


def test_items_without_a_score_are_left_out():
    with_gaps = [None, *VALUES[:50].tolist(), math.nan]
    assert bootstrap(with_gaps) == bootstrap(VALUES[:50])


def test_the_seed_decides():
    assert bootstrap(VALUES, seed=3) == bootstrap(VALUES, seed=3)
    assert bootstrap(VALUES, seed=3) != bootstrap(VALUES, seed=4)


def test_many_items_are_drawn_in_parts(monkeypatch):
    whole = bootstrap(VALUES, resamples=50)
    monkeypatch.setattr("flamingo_jax.evaluation.metrics.intervals._AT_ONCE", 3 * len(VALUES))
    assert bootstrap(VALUES, resamples=50) == whole


def test_a_statistic_that_is_the_mean_gives_the_same():
    expected = bootstrap(VALUES, seed=5)
    assert bootstrap_statistic(lambda drawn: VALUES[drawn].mean(), len(VALUES), seed=5) == pytest.approx(expected)


def test_draws_without_a_statistic_are_left_out():
    labels, scores = np.array([1, 0, 0, 0]), np.array([0.4, 0.1, 0.2, 0.8])
    area, low, high = bootstrap_statistic(lambda drawn: roc_auc(labels[drawn], scores[drawn]), 4)
    assert area == pytest.approx(2 / 3)
    assert 0 <= low <= area <= high <= 1


def test_over_seeds_is_the_t_interval():
    # t with 2 degrees of freedom at 0.975 is 4.3027 (any table); the standard error of 1, 2, 3 is 1 / sqrt(3).
    mean, low, high = over_seeds([1.0, 2.0, 3.0])
    assert (mean, low, high) == pytest.approx((2, 2 - 4.302653 / math.sqrt(3), 2 + 4.302653 / math.sqrt(3)), abs=1e-5)
    assert over_seeds([5.0, 5.0, 5.0]) == (5, 5, 5)


def test_paired_differences_are_surer_than_the_scores():
    better = VALUES + np.random.default_rng(2).normal(0.5, 1.0, len(VALUES))
    mean, low, high = paired(better, VALUES)
    assert mean == pytest.approx((better - VALUES).mean())
    assert 0 < low < mean < high
    assert high - low < 0.5 * (bootstrap(better)[2] - bootstrap(better)[1])
    assert paired(VALUES, better) == pytest.approx((-mean, -high, -low), abs=0.02)


def test_pairs_that_lack_a_score_are_left_out():
    assert paired([1.0, None, 3.0], [0.0, 5.0, None])[0] == 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: bootstrap([]), "none of 0 items"),
        (lambda: bootstrap([None, math.nan]), "none of 2 items"),
        (lambda: bootstrap([1.0], level=1.0), "level"),
        (lambda: bootstrap([1.0], resamples=0), "at least one resample"),
        (lambda: bootstrap(np.zeros((2, 2))), "list of numbers"),
        (lambda: bootstrap_statistic(lambda drawn: 0.0, 0), "at least one item"),
        (lambda: bootstrap_statistic(lambda drawn: math.nan, 2), "none of 1000 draws"),
        (lambda: over_seeds([1.0]), "at least two runs"),
        (lambda: over_seeds([1.0, math.nan]), "no score"),
        (lambda: over_seeds([1.0, 2.0], level=0.0), "level"),
        (lambda: paired([1.0], [1.0, 2.0]), "1 and 2"),
    ],
)
def test_what_does_not_fit_is_an_error(call, message):
    with pytest.raises(ValueError, match=message):
        call()
