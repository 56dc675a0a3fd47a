"""What a sample of losses says about their mean, with a guarantee for any number of them."""

import math
from collections.abc import Sequence

import numpy as np


def p_value(losses: Sequence[float] | np.ndarray, risk: float) -> float:
    """How probable a mean so low is at most, were the true one above `risk`.

    Of losses that are 0 or 1 it is the binomial tail, whose inversion is the bound of Clopper and Pearson (1934); of
    others in [0, 1] the bound of Hoeffding and Bentkus (Bates et al. 2021, https://arxiv.org/abs/2101.02703).

    Args:
      losses: independent, each in [0, 1]; none at all prove nothing.
      risk: in [0, 1].

    Raises:
      ValueError: a loss is out of range.
    """
    from scipy import stats  # comes with JAX; slow to import

    losses = np.asarray(losses, np.float64)
    if not ((losses >= 0) & (losses <= 1)).all():
        raise ValueError("losses are numbers from 0 to 1")
    if not len(losses):
        return 1.0
    total = math.fsum(losses)
    tail = float(stats.binom.cdf(math.ceil(total - 1e-9), len(losses), risk))
    if np.isin(losses, (0, 1)).all():
        return tail
    return min(1.0, math.e * tail, _hoeffding(total / len(losses), risk, len(losses)))


def upper_bound(losses: Sequence[float] | np.ndarray, delta: float) -> float:
    """What the mean is below with probability 1 - `delta`, over draws of such losses: the least that `p_value` rejects.

    Raises:
      ValueError: as `p_value`.
    """
    low, high = 0.0, 1.0
    for _ in range(50):  # halvings: to the last bit
        middle = (low + high) / 2
        low, high = (low, middle) if p_value(losses, middle) <= delta else (middle, high)
    return high


def interval(losses: Sequence[float] | np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """The mean's two-sided interval: that of Clopper and Pearson for losses of 0 and 1."""
    losses = np.asarray(losses, np.float64)
    tail = (1 - level) / 2
    return 1 - upper_bound(1 - losses, tail), upper_bound(losses, tail)


def _hoeffding(mean: float, risk: float, count: int) -> float:
    """exp(-count x the divergence of Bernoulli(risk) from Bernoulli(mean)), for a mean below the risk."""
    if mean >= risk:
        return 1.0
    if risk >= 1:
        return 0.0
    divergence = (1 - mean) * math.log((1 - mean) / (1 - risk))
    divergence += mean * math.log(mean / risk) if mean else 0.0
    return math.exp(-count * divergence)
