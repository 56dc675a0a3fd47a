"""Ranking of answer options in visual dialogue (VisDial): NDCG on graded relevance, and the rank of the true option.

Follows `visdialch/metrics.py` of the VisDial challenge, except that it computes in double instead of single precision
and that it takes one round as well as many.
"""

import numpy as np
from jaxtyping import Float, Int


def ndcg(
    scores: Float[np.ndarray, "rounds options"], relevance: Float[np.ndarray, "rounds options"]
) -> Float[np.ndarray, " rounds"]:
    """Normalized discounted cumulative gain of each round; NaN where no option is relevant.

    Gain is the relevance itself, the discount log2(rank + 1), and both sums stop at k, the number of options whose
    relevance is not 0. Among equal scores the earlier option comes first (the official code leaves it open).

    Raises:
      ValueError: shapes that differ, or a NaN.
    """
    scores, relevance = _rounds(scores, "scores"), _rounds(relevance, "relevance")
    if scores.shape != relevance.shape:
        raise ValueError(f"scores and relevance must be of one shape, not {scores.shape} and {relevance.shape}")
    counted = np.arange(scores.shape[1]) < np.count_nonzero(relevance, axis=1)[:, None]
    discounted = counted / np.log2(np.arange(scores.shape[1]) + 2)
    gained = np.take_along_axis(relevance, np.argsort(-scores, axis=1, kind="stable"), axis=1)
    ideal = -np.sort(-relevance, axis=1)
    best = (ideal * discounted).sum(axis=1)
    return np.divide((gained * discounted).sum(axis=1), best, out=np.full(len(best), np.nan), where=best != 0)


def ranks(scores: Float[np.ndarray, "rounds options"], true: Int[np.ndarray, " rounds"]) -> Int[np.ndarray, " rounds"]:
    """The rank, from 1, of the true option of each round; among equal scores the earlier option comes first.

    Raises:
      ValueError: shapes that do not fit, an index out of range, or a NaN.
    """
    scores, true = _rounds(scores, "scores"), np.asarray(true)
    if true.shape != scores.shape[:1]:
        raise ValueError(f"there must be one true option for each of {len(scores)} rounds, not {true.shape}")
    if not np.issubdtype(true.dtype, np.integer) or np.any((true < 0) | (true >= scores.shape[1])):
        raise ValueError(f"true options must be whole numbers from 0 to {scores.shape[1] - 1}")
    own = np.take_along_axis(scores, true[:, None], axis=1)
    earlier = np.arange(scores.shape[1]) < true[:, None]
    return 1 + ((scores > own) | ((scores == own) & earlier)).sum(axis=1)


def retrieval(ranks: Int[np.ndarray, " rounds"]) -> dict[str, float]:
    """`r@1`, `r@5` and `r@10` (shares in 0..1 of rounds with that rank or a better one), `mean` rank and `mrr`.

    Raises:
      ValueError: no round, or a rank below 1.
    """
    ranks = np.asarray(ranks)
    if ranks.ndim != 1 or not len(ranks) or ranks.min() < 1:
        raise ValueError("ranks must be one or more whole numbers from 1 on")
    recall = {f"r@{k}": float((ranks <= k).mean()) for k in (1, 5, 10)}
    return {**recall, "mean": float(ranks.mean()), "mrr": float((1 / ranks).mean())}


def _rounds(values: np.ndarray, what: str) -> Float[np.ndarray, "rounds options"]:
    values = np.asarray(values, np.float64)
    if values.ndim != 2:
        raise ValueError(f"{what} must be [rounds, options], not of shape {values.shape}")
    if np.isnan(values).any():
        raise ValueError(f"{what} has a NaN")
    return values
