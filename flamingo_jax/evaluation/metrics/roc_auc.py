"""Area under the receiver operating characteristic (Hateful Memes)."""

from collections.abc import Sequence

import numpy as np


def roc_auc(labels: Sequence[int], scores: Sequence[float]) -> float:
    """How often a positive item is scored above a negative one, in 0..1; equal scores count one half.

    It is the area under the curve of true against false positives with a straight line across equal scores, as
    scikit-learn's `roc_auc_score` has it. Scores stay in double precision: differences below single precision count.

    Args:
      labels: 1 (or True) for positive items, 0 for negative ones.
      scores: higher for items held to be positive; any scale.

    Raises:
      ValueError: lengths that differ, other labels, a NaN, or items of one class only.
    """
    labels, scores = np.asarray(labels), np.asarray(scores, np.float64)
    if labels.ndim != 1 or scores.shape != labels.shape:
        raise ValueError(f"ROC AUC needs one score for each label, not shapes {labels.shape} and {scores.shape}")
    if not np.isin(labels, (0, 1)).all():
        raise ValueError("ROC AUC needs labels of 0 and 1")
    if np.isnan(scores).any():
        raise ValueError("a score is NaN")
    positive = labels.astype(bool)
    positives, negatives = int(positive.sum()), int((~positive).sum())
    if not positives or not negatives:
        raise ValueError(f"ROC AUC needs items of both classes, not {positives} positive and {negatives} negative")
    below = np.sort(scores[~positive])
    lower = np.searchsorted(below, scores[positive], side="left")
    not_higher = np.searchsorted(below, scores[positive], side="right")
    return float((lower.sum() + not_higher.sum()) / (2 * positives * negatives))
