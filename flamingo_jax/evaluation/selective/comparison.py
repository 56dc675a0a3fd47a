"""Ways to tell good answers from bad ones, side by side on the same answers."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from jaxtyping import Float

from flamingo_jax.evaluation.metrics.intervals import bootstrap_statistic
from flamingo_jax.evaluation.selective.calibration import calibration_error, reliability
from flamingo_jax.evaluation.selective.curve import aurc, excess_aurc, risk_coverage


def compare(
    confidences: Mapping[str, Float[np.ndarray, " answers"]],
    losses: Float[np.ndarray, " answers"],
    *,
    probabilities: str | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """The figures of each, with bootstrap intervals (95%) over the answers, as JSON has them.

    The difference of two areas is taken on each resample of the answers, the same for both: what the answers share
    cancels, so it is told from 0 sooner than by two intervals.

    Args:
      confidences: name -> of each answer, higher is surer. The first is the one that others are compared with.
      losses: in [0, 1].
      probabilities: the one whose confidences are probabilities of being right, for the calibration.
      seed: of the resamples.

    Raises:
      ValueError: as `risk_coverage` and `reliability`.
    """
    first = next(iter(confidences.values()))
    measures = [
        {
            "name": name,
            "aurc": _area(values, losses, seed),
            "excess_aurc": excess_aurc(values, losses),
            "first_minus_this": None if values is first else _difference(first, values, losses, seed),
            "risks": risk_coverage(values, losses).tolist(),
        }
        for name, values in confidences.items()
    ]
    result: dict[str, Any] = {
        "answers": len(losses),
        "loss": float(losses.mean()),
        "best_risks": risk_coverage(-losses, losses).tolist(),
        "measures": measures,
    }
    if probabilities is not None:
        sure, right = confidences[probabilities], 1 - losses
        result["calibration"] = {
            "name": probabilities,
            "error": _over_resamples(lambda drawn: calibration_error(sure[drawn], right[drawn]), len(losses), seed),
            "bins": [each._asdict() for each in reliability(sure, right)],
        }
    return result


def _area(confidences: np.ndarray, losses: np.ndarray, seed: int) -> dict[str, float]:
    return _over_resamples(lambda drawn: aurc(confidences[drawn], losses[drawn]), len(losses), seed)


def _difference(ours: np.ndarray, theirs: np.ndarray, losses: np.ndarray, seed: int) -> dict[str, float]:
    def difference(drawn: np.ndarray) -> float:
        return aurc(ours[drawn], losses[drawn]) - aurc(theirs[drawn], losses[drawn])

    return _over_resamples(difference, len(losses), seed)


def _over_resamples(statistic: Callable[[np.ndarray], float], count: int, seed: int) -> dict[str, float]:
    return dict(zip(("value", "low", "high"), bootstrap_statistic(statistic, count, seed=seed), strict=True))
