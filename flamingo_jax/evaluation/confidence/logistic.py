"""From signals to the probability of being right: logistic regression that knows which way each signal points."""

import numpy as np
from jaxtyping import Float

from flamingo_jax.config import ConfigError

_L2 = 1.0  # as of one answer's weight: it keeps the weights finite where the answers can be told apart


def fit_logistic(
    features: Float[np.ndarray, "answers signals"],
    correct: Float[np.ndarray, " answers"],
    directions: Float[np.ndarray, " signals"],
) -> tuple[Float[np.ndarray, " signals"], float]:
    """The weights and the bias that minimize the cross-entropy and half the weights' squares.

    No weight may point against its signal's direction: more likely answers are never taken for worse ones, however few
    there are to fit to.

    Args:
      features: standardized.
      correct: shares in [0, 1].
      directions: 1 or -1 each.

    Raises:
      ConfigError: a feature is not finite, or the minimum was not found.
    """
    from scipy import optimize  # comes with JAX; slow to import

    if not np.isfinite(features).all():
        raise ConfigError("the signals cannot be fitted: some are no finite numbers")
    inputs = np.concatenate([features, np.ones((len(features), 1))], axis=1)
    penalty = np.append(np.full(features.shape[1], _L2), 0.0)

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        logits = inputs @ weights
        value = np.sum(np.logaddexp(0, logits) - correct * logits) + penalty @ weights**2 / 2
        return float(value), inputs.T @ (sigmoid(logits) - correct) + penalty * weights

    bounds = [(0, None) if way > 0 else (None, 0) for way in directions] + [(None, None)]
    found = optimize.minimize(loss, np.zeros(inputs.shape[1]), jac=True, bounds=bounds, method="L-BFGS-B")
    if not found.success:
        raise ConfigError(f"the signals cannot be fitted: {found.message}")
    return found.x[:-1], float(found.x[-1])


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-logits)), without overflow."""
    return np.exp(-np.logaddexp(0, -logits))
