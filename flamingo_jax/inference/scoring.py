"""Figures from the losses of tokens."""

import numpy as np
from jaxtyping import Float


def mean_over(losses: Float[np.ndarray, "batch length"], mask: np.ndarray) -> tuple[float, Float[np.ndarray, " batch"]]:
    """The mean over all masked tokens, and over each row's (NaN where a row has none)."""
    mask = np.asarray(mask, bool)
    counts = mask.sum(axis=1)
    sums = np.where(mask, losses, 0).sum(axis=1)
    rows = np.divide(sums, counts, out=np.full(len(sums), np.nan), where=counts > 0)
    return float(sums.sum() / max(counts.sum(), 1)), rows
