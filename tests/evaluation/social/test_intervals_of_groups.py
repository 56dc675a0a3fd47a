"""Welch's test against SciPy's and by hand; Wilson's interval against the test that it inverts."""

import math

import numpy as np
import pytest
from scipy import optimize, stats

from flamingo_jax.evaluation.social.welch import welch
from flamingo_jax.evaluation.social.wilson import wilson


@pytest.mark.parametrize("sizes", [(2, 2), (2, 50), (30, 7), (500, 400)])
def test_welch_is_scipys(sizes):
    generator = np.random.default_rng(sum(sizes))
    first, second = generator.gamma(1.0, 0.9, sizes[0]), generator.gamma(3.0, 0.4, sizes[1])
    ours, theirs = welch(first, second), stats.ttest_ind(first, second, equal_var=False)
    interval = theirs.confidence_interval(0.95)
    assert ours.value == pytest.approx(first.mean() - second.mean())
    assert (ours.t, ours.p, ours.degrees) == pytest.approx((theirs.statistic, theirs.pvalue, theirs.df), rel=1e-9)
    assert (ours.low, ours.high) == pytest.approx((interval.low, interval.high), rel=1e-9)


def test_welch_by_hand():
    # Means 2 and 4, variances 1 and 8/2 = 4: squared error 1/3 + 4/3 = 5/3.
    found = welch([1, 2, 3], [2, 4, 6])
    assert found.value == -2
    assert found.t == pytest.approx(-2 / math.sqrt(5 / 3))
    assert found.degrees == pytest.approx((5 / 3) ** 2 / ((1 / 3) ** 2 / 2 + (4 / 3) ** 2 / 2))
    assert found.low + found.high == pytest.approx(2 * found.value)
    assert 0 < found.p < 1


def test_welch_turned_round_changes_signs_only():
    one, two = welch([1, 2, 4], [3, 9]), welch([3, 9], [1, 2, 4])
    assert (one.value, one.t, one.p) == pytest.approx((-two.value, -two.t, two.p))
    assert (one.low, one.high) == pytest.approx((-two.high, -two.low))


def test_samples_that_do_not_vary_have_no_interval():
    found = welch([0.1, 0.1, 0.1], [0.2, 0.2])
    assert found.value == pytest.approx(-0.1)
    assert (found.low, found.high, found.t, found.p) == (None, None, None, None)
    assert welch([1, 1], [1, 2]).p is not None  # one that does is enough


@pytest.mark.parametrize("first", [[], [1.0], [1.0, math.nan], [[1.0, 2.0]]])
def test_samples_that_are_too_small_or_no_numbers_are_refused(first):
    with pytest.raises(ValueError, match="at least two finite numbers"):
        welch(first, [1.0, 2.0])


@pytest.mark.parametrize("hits, count", [(1, 2), (1, 10), (5, 10), (9, 10), (3, 5000), (4999, 5000)])
def test_wilson_inverts_the_score_test(hits, count):
    z = stats.norm.ppf(0.975)

    def surprise(share):
        return (hits / count - share) ** 2 - z**2 * share * (1 - share) / count

    low = optimize.brentq(surprise, 1e-12, hits / count)
    high = optimize.brentq(surprise, hits / count, 1 - 1e-12)
    assert wilson(hits, count) == pytest.approx((low, high), rel=1e-6)


def test_known_shares():
    assert wilson(5, 10) == pytest.approx((0.2366, 0.7634), abs=1e-4)
    assert wilson(0, 10) == pytest.approx((0, 0.2775), abs=1e-4) and wilson(0, 10)[0] == 0
    assert wilson(10, 10) == pytest.approx((0.7225, 1), abs=1e-4) and wilson(10, 10)[1] == 1


@pytest.mark.parametrize("hits, count", [(0, 0), (-1, 3), (4, 3)])
def test_no_share_at_all(hits, count):
    with pytest.raises(ValueError, match="a share is of at least one"):
        wilson(hits, count)
