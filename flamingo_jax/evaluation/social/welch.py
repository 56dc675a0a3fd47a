"""The difference of two means where the variances differ."""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from flamingo_jax.evaluation.metrics.intervals import LEVEL


@dataclasses.dataclass(frozen=True, slots=True)
class Difference:
    """First mean minus second mean, in the unit of the samples.

    Attributes:
      value: the difference.
      low, high: ends of Student's interval; None where neither sample varies.
      t: the difference in standard errors; None as above.
      degrees: of freedom, by Welch and Satterthwaite; None as above.
      p: two-tailed, of means that do not differ; None as above.
    """

    value: float
    low: float | None
    high: float | None
    t: float | None
    degrees: float | None
    p: float | None


def welch(
    first: Sequence[float] | Float[np.ndarray, " n"],
    second: Sequence[float] | Float[np.ndarray, " m"],
    *,
    level: float = LEVEL,
) -> Difference:
    """The t-test for unequal variances (Welch 1947, Biometrika 34), and the interval of the difference.

    Args:
      first, second: independent samples.
      level: of the interval, above 0 and below 1.

    Raises:
      ValueError: a sample has fewer than two values, or one that is not finite.
    """
    one, two = np.asarray(first, np.float64), np.asarray(second, np.float64)
    for sample in (one, two):
        if sample.ndim != 1 or len(sample) < 2 or not np.isfinite(sample).all():
            raise ValueError(f"a sample must be a list of at least two finite numbers, not of shape {sample.shape}")
    value = float(one.mean() - two.mean())
    squares = [0.0 if np.ptp(sample) == 0 else float(sample.var(ddof=1)) / len(sample) for sample in (one, two)]
    if not sum(squares):
        return Difference(value, None, None, None, None, None)
    from scipy import stats  # slow to import

    error = math.sqrt(sum(squares))
    shares = [square / sum(squares) for square in squares]
    degrees = 1 / sum(share**2 / (len(sample) - 1) for share, sample in zip(shares, (one, two), strict=True))
    half = float(stats.t.ppf((1 + level) / 2, degrees)) * error
    t = value / error
    return Difference(value, value - half, value + half, t, degrees, float(2 * stats.t.sf(abs(t), degrees)))
