"""Fits an abstention rule to answers that were judged."""

from collections.abc import Sequence

import numpy as np

from flamingo_jax.config import ConfigError
from flamingo_jax.evaluation.confidence.bounds import upper_bound
from flamingo_jax.evaluation.confidence.evidence import DIRECTIONS, Evidence, EvidenceConfig
from flamingo_jax.evaluation.confidence.logistic import fit_logistic
from flamingo_jax.evaluation.confidence.rule import AbstentionRule
from flamingo_jax.evaluation.confidence.threshold import Judged, find_threshold

_FITTED = tuple(name for name in DIRECTIONS if name != "likelihood")  # which `certainty` stands for
_LEAST = 20  # answers: with fewer in either half nothing can be told
_SEED = 2022  # of the halves: the same in every fit


def fit(
    evidence: Sequence[Evidence],
    correct: Sequence[float],
    risk: float,
    delta: float,
    *,
    gathering: EvidenceConfig,
    step: int,
    parameters: str,
    ranked: bool = False,
) -> AbstentionRule:
    """A rule whose answers have a risk of at most `risk`, with probability 1 - `delta` over draws of the questions.

    One half of the questions, drawn at random, gives the confidence and the order in which thresholds are tried, the
    other half, which these have not seen, the threshold.

    Args:
      correct: the share of each answer that is right, 0 to 1; the loss is the rest.
      risk, delta: above 0 and below 1.
      gathering, step, parameters, ranked: see `AbstentionRule`.

    Raises:
      ConfigError: there are too few answers, or all of them are right or none.
      ValueError: `risk`, `delta` or a share is out of range.
    """
    shares = np.asarray(correct, np.float64)
    if len(shares) < 2 * _LEAST or len(set(shares.tolist())) < 2:
        raise ConfigError(
            f"{len(shares)} judged answers, {int((shares == 1).sum())} of them right: a rule needs at least "
            f"{2 * _LEAST}, right ones and wrong ones"
        )
    signals = [name for name in _FITTED if all(getattr(each, name) is not None for each in evidence)]
    features = np.array([[getattr(each, name) for name in signals] for each in evidence], np.float64)
    order = np.random.default_rng(_SEED).permutation(len(shares))
    seen, unseen = np.sort(order[: len(order) // 2]), np.sort(order[len(order) // 2 :])

    means, scales = features[seen].mean(axis=0), features[seen].std(axis=0)
    scales[scales < 1e-9] = 1.0  # a signal that does not vary says nothing, and gets no weight
    standard = (features - means) / scales
    directions = np.array([DIRECTIONS[name] for name in signals])
    weights, bias = fit_logistic(standard[seen], shares[seen], directions)

    def rule(threshold: float | None) -> AbstentionRule:
        return AbstentionRule(
            signals=tuple(signals),
            means=tuple(means.tolist()),
            scales=tuple(scales.tolist()),
            weights=tuple(weights.tolist()),
            bias=bias,
            threshold=threshold,
            risk=risk,
            delta=delta,
            ranked=ranked,
            gathering=gathering,
            step=step,
            parameters=parameters,
            dev={"fitted": len(seen)} | ({} if threshold is None else _figures(judged[1], threshold, delta)),
        )

    confidences = np.array([rule(None).confidence(each) for each in evidence])  # as they will be computed, to the bit
    judged = [Judged(confidences[half], 1 - shares[half]) for half in (seen, unseen)]
    return rule(find_threshold(*judged, risk, delta))


def _figures(unseen: Judged, threshold: float, delta: float) -> dict[str, float]:
    answered = unseen.answered(threshold)
    return {
        "tested": len(unseen.losses),
        "answered": len(answered),
        "coverage": len(answered) / len(unseen.losses),
        "risk": float(answered.mean()),
        "upper_bound": upper_bound(answered, delta),
    }
