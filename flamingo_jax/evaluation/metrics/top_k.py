"""Top-k accuracy, for classification (ImageNet, Kinetics) and for multiple choice (STAR, with k = 1)."""

import numpy as np
from jaxtyping import Bool, Float, Int


def top_k(
    scores: Float[np.ndarray, "items classes"], labels: Int[np.ndarray, " items"], k: int
) -> Bool[np.ndarray, " items"]:
    """Whether the true class is among the k classes of the highest scores, for each item.

    Among equal scores the class of the lower index comes first (official evaluators leave their order open), so that a
    model that scores all classes alike is right where the label is below k, not everywhere.

    Raises:
      ValueError: shapes that do not fit, a label out of range, a NaN, or k below 1.
    """
    scores, labels = np.asarray(scores), np.asarray(labels)
    if scores.ndim != 2 or labels.shape != scores.shape[:1]:
        raise ValueError(f"scores must be [items, classes] and labels [items], not {scores.shape} and {labels.shape}")
    if k < 1:
        raise ValueError(f"k must be at least 1, not {k}")
    if not np.issubdtype(labels.dtype, np.integer) or np.any((labels < 0) | (labels >= scores.shape[1])):
        raise ValueError(f"labels must be whole numbers from 0 to {scores.shape[1] - 1}")
    if np.isnan(scores).any():
        raise ValueError("a score is NaN")
    own = np.take_along_axis(scores, labels[:, None], axis=1)
    earlier = np.arange(scores.shape[1]) < labels[:, None]
    ahead = (scores > own) | ((scores == own) & earlier)
    return ahead.sum(axis=1) < k
