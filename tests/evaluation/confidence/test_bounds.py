"""Bounds on a mean: against SciPy's Clopper-Pearson interval, and against draws."""

import numpy as np
import pytest
from scipy import stats

from flamingo_jax.evaluation.confidence.bounds import interval, p_value, upper_bound


def losses_of(wrong: int, count: int) -> np.ndarray:
    return np.arange(count) < wrong


@pytest.mark.parametrize(("wrong", "count"), [(0, 1), (0, 30), (3, 30), (30, 30), (17, 250)])
def test_of_right_and_wrong_it_is_that_of_clopper_and_pearson(wrong, count):
    losses = losses_of(wrong, count).astype(float)
    one_sided = stats.binomtest(wrong, count, alternative="less").proportion_ci(0.9, "exact").high
    assert upper_bound(losses, 0.1) == pytest.approx(one_sided, abs=1e-9)
    both = stats.binomtest(wrong, count).proportion_ci(0.95, "exact")
    assert interval(losses) == pytest.approx((both.low, both.high), abs=1e-9)
    assert p_value(losses, 0.2) == pytest.approx(stats.binomtest(wrong, count, 0.2, "less").pvalue, abs=1e-12)


def test_nothing_seen_proves_nothing():
    assert p_value([], 0.5) == 1
    assert upper_bound([], 0.1) == 1


@pytest.mark.parametrize("wrong", [[-0.1], [1.5], [float("nan")]])
def test_what_is_no_loss_is_refused(wrong):
    with pytest.raises(ValueError, match="0 to 1"):
        p_value(wrong, 0.5)


@pytest.mark.parametrize("shares", [(0.0, 1.0), (0.0, 0.3, 0.6, 1.0)])
def test_it_is_wrong_as_rarely_as_it_says(shares):
    """Losses with a mean of exactly 0.3: a p-value for 0.3 is at most 0.1 in at most a tenth of the draws."""
    rng = np.random.default_rng(0)
    wanted = 0.3
    # Weights on the shares that have this mean: what 0 has is left over by the others.
    weights = np.array([0.0, *(wanted / (len(shares) - 1) / share for share in shares[1:])])
    weights[0] = 1 - weights.sum()
    draws = rng.choice(shares, p=weights, size=(2000, 40))
    rejected = np.mean([p_value(losses, wanted) <= 0.1 for losses in draws])
    assert rejected <= 0.1 + 3 * np.sqrt(0.1 * 0.9 / 2000)
    assert np.mean([p_value(losses, 0.7) <= 0.1 for losses in draws]) > 0.9  # and it is not always silent
