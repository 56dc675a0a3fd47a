"""How sure a score is: intervals over items by the bootstrap, over seeds by Student's t, and of paired differences."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from jaxtyping import Float, Int

RESAMPLES = 1000
LEVEL = 0.95
_AT_ONCE = 1 << 22  # indices drawn at a time: 32 MB


def bootstrap(
    values: Sequence[float | None] | Float[np.ndarray, " items"],
    *,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
    seed: int = 0,
) -> tuple[float, float, float]:
    """The mean of the items' scores and its percentile interval, (mean, low, high).

    Items are drawn anew, with replacement, `resamples` times; the interval leaves out the same share of the means below
    and above. The same arguments give the same interval.

    Args:
      values: a score for each item; items of None or NaN have none (such as a round without relevant options) and are
        left out before drawing.
      resamples: how often to draw.
      level: the share of means within the interval, above 0 and below 1.
      seed: of the draws.

    Raises:
      ValueError: no item has a score, or `resamples` or `level` is out of range.
    """
    kept = _kept(values)
    means = np.concatenate(
        [kept[drawn].mean(axis=1) for drawn in _draws(len(kept), resamples, level, np.random.default_rng(seed))]
    )
    return float(kept.mean()), *_percentiles(means, level)


def bootstrap_statistic(
    statistic: Callable[[Int[np.ndarray, " items"]], float],
    items: int,
    *,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
    seed: int = 0,
) -> tuple[float, float, float]:
    """As `bootstrap`, for any score of a set of items that is not the mean of theirs, such as ROC AUC.

    Args:
      statistic: the score of the items of these indices, which repeat. Draws for which it is NaN or raises ValueError
        (one class only) are left out.
      items: how many there are.
      resamples: how often to draw.
      level: the share of scores within the interval, above 0 and below 1.
      seed: of the draws.

    Raises:
      ValueError: there is no item, no draw has a score, or `resamples` or `level` is out of range.
    """
    if items < 1:
        raise ValueError("an interval needs at least one item, and got none")
    whole = statistic(np.arange(items))
    scores = []
    for drawn in _draws(items, resamples, level, np.random.default_rng(seed)):
        for indices in drawn:
            try:
                scores.append(float(statistic(indices)))
            except ValueError:
                continue
    kept = np.array([score for score in scores if not np.isnan(score)])
    if not len(kept):
        raise ValueError(f"none of {resamples} draws of {items} items has a score")
    return float(whole), *_percentiles(kept, level)


def paired(
    ours: Sequence[float | None] | Float[np.ndarray, " items"],
    theirs: Sequence[float | None] | Float[np.ndarray, " items"],
    *,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
    seed: int = 0,
) -> tuple[float, float, float]:
    """The mean difference (ours - theirs) on the same items and its bootstrap interval, (mean, low, high).

    An interval that leaves out 0 says that one is better than the other on items such as these. Items that lack one of
    the two scores (None or NaN) are left out.

    Raises:
      ValueError: lengths that differ, no item with both scores, or `resamples` or `level` out of range.
    """
    if len(ours) != len(theirs):
        raise ValueError(f"the pairs must be of the same items, and there are {len(ours)} and {len(theirs)}")
    differences = np.array(ours, np.float64) - np.array(theirs, np.float64)  # None becomes NaN
    return bootstrap(differences, resamples=resamples, level=level, seed=seed)


def over_seeds(values: Sequence[float], *, level: float = LEVEL) -> tuple[float, float, float]:
    """The mean of a score over runs with other seeds and its interval by Student's t, (mean, low, high).

    For the few runs (three to ten) that there are, of which a bootstrap would know too little.

    Raises:
      ValueError: fewer than two runs, one without a score, or a `level` out of range.
    """
    runs = np.asarray(values, np.float64)
    if runs.ndim != 1 or len(runs) < 2:
        raise ValueError(f"an interval over seeds needs at least two runs, not {runs.size}")
    if np.isnan(runs).any():
        raise ValueError("a run has no score (NaN)")
    _check_level(level)
    from scipy import stats  # comes with JAX; slow to import

    half = stats.t.ppf((1 + level) / 2, len(runs) - 1) * runs.std(ddof=1) / np.sqrt(len(runs))
    mean = float(runs.mean())
    return mean, mean - float(half), mean + float(half)


def _kept(values: Sequence[float | None] | np.ndarray) -> Float[np.ndarray, " items"]:
    array = np.array(values, np.float64)  # None becomes NaN
    if array.ndim != 1:
        raise ValueError(f"scores must be a list of numbers, not of shape {array.shape}")
    kept = array[~np.isnan(array)]
    if not len(kept):
        raise ValueError(f"none of {len(array)} items has a score")
    return kept


def _draws(
    items: int, resamples: int, level: float, generator: np.random.Generator
) -> Iterator[Int[np.ndarray, "draws items"]]:
    """Indices [some draws, items], until there were `resamples` draws."""
    _check_level(level)
    if resamples < 1:
        raise ValueError(f"there must be at least one resample, not {resamples}")
    at_once = max(1, _AT_ONCE // items)
    for start in range(0, resamples, at_once):
        yield generator.integers(items, size=(min(at_once, resamples - start), items))


def _percentiles(scores: np.ndarray, level: float) -> tuple[float, float]:
    low, high = np.quantile(scores, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _check_level(level: float) -> None:
    if not 0 < level < 1:
        raise ValueError(f"the level must be above 0 and below 1, not {level}")
