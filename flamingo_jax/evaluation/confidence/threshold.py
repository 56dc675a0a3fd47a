"""The threshold that answers the most questions at a risk that is guaranteed."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from flamingo_jax.evaluation.confidence.bounds import p_value

_CANDIDATES = 50


class Judged(NamedTuple):
    """Confidences of answers, and their losses in [0, 1]."""

    confidences: Float[np.ndarray, " answers"]
    losses: Float[np.ndarray, " answers"]

    def answered(self, threshold: float) -> Float[np.ndarray, "answered"]:
        """The losses of what is answered."""
        return self.losses[self.confidences >= threshold]


def find_threshold(seen: Judged, unseen: Judged, risk: float, delta: float) -> float | None:
    """The least confidence to answer with, so that with probability 1 - `delta` the mean loss of answers is <= `risk`.

    Learn then Test (Angelopoulos et al. 2021, https://arxiv.org/abs/2110.01052) with a fixed sequence: thresholds are
    tested on answers that had no part in choosing them, from the one that looks safest on the others downwards, and the
    first that fails ends it. So all that passed hold together, and no share of `delta` is lost on their number (which
    is what the bisection of Geifman & El-Yaniv 2017, https://arxiv.org/abs/1705.08500, pays).

    Args:
      seen: what the thresholds and their order are chosen by, and confidences may be fitted to.
      unseen: what they are tested on; drawn from the same questions as those that will be asked.

    Returns:
      The threshold; None: none holds the risk, and nothing may be answered.
    """
    shares = np.linspace(0, 1, _CANDIDATES)
    candidates = np.unique(np.quantile(seen.confidences, shares, method="lower"))[::-1]
    start = int(np.argmin([p_value(seen.answered(each), risk) for each in candidates]))
    found = None
    for candidate in candidates[start:]:
        if p_value(unseen.answered(candidate), risk) > delta:
            break
        found = float(candidate)
    return found
