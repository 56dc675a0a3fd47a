"""The risk of what is answered, by how much is answered."""

import numpy as np
from jaxtyping import Float


def risk_coverage(
    confidences: Float[np.ndarray, " answers"], losses: Float[np.ndarray, " answers"]
) -> Float[np.ndarray, " answers"]:
    """The mean loss of the 1, 2, ... answers that the model is surest of.

    Where answers tie, it is the expectation over their order drawn at random, exactly: each has the mean loss of those
    that it ties with.

    Args:
      confidences: higher is surer.
      losses: in [0, 1].

    Raises:
      ValueError: there are no answers, not as many confidences as losses, or some that are not finite.
    """
    if not len(losses) or np.shape(confidences) != np.shape(losses):
        raise ValueError(f"{len(confidences)} confidences of {len(losses)} answers: there must be one of each")
    if not (np.isfinite(confidences).all() and np.isfinite(losses).all()):
        raise ValueError("confidences and losses must be finite numbers")
    _, ties, counts = np.unique(-np.asarray(confidences, np.float64), return_inverse=True, return_counts=True)
    means = np.bincount(ties, losses) / counts
    return np.cumsum(np.repeat(means, counts)) / np.arange(1, len(losses) + 1)


def aurc(confidences: Float[np.ndarray, " answers"], losses: Float[np.ndarray, " answers"]) -> float:
    """The area under the risk-coverage curve: the mean of the risks (Geifman et al. 2019, definition before eq. 4,
    https://arxiv.org/abs/1805.08206). 0 is best; answers in random order have their mean loss.

    Raises:
      ValueError: as `risk_coverage`.
    """
    return float(risk_coverage(confidences, losses).mean())


def excess_aurc(confidences: Float[np.ndarray, " answers"], losses: Float[np.ndarray, " answers"]) -> float:
    """What the area is above that of the best order of the same answers (E-AURC of Geifman et al. 2019, of these
    answers themselves rather than by its approximation r + (1 - r) ln(1 - r)).

    Raises:
      ValueError: as `risk_coverage`.
    """
    return aurc(confidences, losses) - aurc(-np.asarray(losses, np.float64), losses)
