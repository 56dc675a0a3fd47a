"""How sure a share is."""

import math

from flamingo_jax.evaluation.metrics.intervals import LEVEL


def wilson(hits: int, count: int, *, level: float = LEVEL) -> tuple[float, float]:
    """The score interval of a share, (low, high), each 0 to 1 (Wilson 1927, JASA 22).

    It holds the shares from which `hits` of `count` is no surprise, and is of use for none and for all, too.

    Args:
      hits: how many of `count`.
      level: of the interval, above 0 and below 1.

    Raises:
      ValueError: there is nothing to count, or more hits than that.
    """
    if not 0 <= hits <= count or not count:
        raise ValueError(f"a share is of at least one, and of no fewer than its hits; got {hits} of {count}")
    from scipy import stats  # slow to import

    z = float(stats.norm.ppf((1 + level) / 2))
    share = hits / count
    middle = share + z**2 / (2 * count)
    half = z * math.sqrt(share * (1 - share) / count + z**2 / (4 * count**2))
    low, high = ((middle + sign * half) / (1 + z**2 / count) for sign in (-1, 1))
    return (0.0 if not hits else low), (1.0 if hits == count else high)
