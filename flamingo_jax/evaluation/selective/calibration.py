"""Whether confidences are what they say: answers of which the model is 80% sure are to be right in 80% of cases."""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

BINS = 10


class Bin(NamedTuple):
    """The answers with a confidence in one interval.

    Attributes:
      low, high: the interval, without its low end (but for 0).
      count: of the answers.
      confidence, accuracy: their means.
    """

    low: float
    high: float
    count: int
    confidence: float
    accuracy: float


def reliability(
    confidences: Float[np.ndarray, " answers"], correct: Float[np.ndarray, " answers"], bins: int = BINS
) -> list[Bin]:
    """The bins of equal width that have answers (Guo et al. 2017, https://arxiv.org/abs/1706.04599).

    Args:
      confidences: in [0, 1].
      correct: shares in [0, 1].

    Raises:
      ValueError: there are no answers, or confidences out of range.
    """
    confidences, correct = np.asarray(confidences, np.float64), np.asarray(correct, np.float64)
    if not len(confidences) or not ((confidences >= 0) & (confidences <= 1)).all():
        raise ValueError("calibration is of at least one answer, with confidences from 0 to 1")
    places = np.maximum(np.ceil(confidences * bins).astype(int) - 1, 0)
    found = []
    for place in np.unique(places).tolist():
        here = places == place
        found.append(
            Bin(
                place / bins,
                (place + 1) / bins,
                int(here.sum()),
                float(confidences[here].mean()),
                float(correct[here].mean()),
            )
        )
    return found


def calibration_error(
    confidences: Float[np.ndarray, " answers"], correct: Float[np.ndarray, " answers"], bins: int = BINS
) -> float:
    """The expected calibration error: the bins' mean |accuracy - confidence|, by their answers.

    Raises:
      ValueError: as `reliability`.
    """
    gaps = [each.count * abs(each.accuracy - each.confidence) for each in reliability(confidences, correct, bins)]
    return math.fsum(gaps) / len(confidences)
