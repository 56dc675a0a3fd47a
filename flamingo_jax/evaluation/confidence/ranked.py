"""The evidence for the likeliest of given candidates: the same signals, from the candidates' scores."""

from collections import Counter

import numpy as np
from jaxtyping import Float

from flamingo_jax.evaluation.confidence.evidence import Evidence


def ranked_evidence(
    scores: Float[np.ndarray, "orders candidates"],
    blind: Float[np.ndarray, " candidates"],
    averaged: int,
) -> Evidence:
    """The evidence for the candidate that scores highest.

    The candidates are all that can be said, so nothing needs to be drawn: agreement is the share that samples would
    tend to, the probability of the answer among the candidates, and entropy is that of their distribution.

    Args:
      scores: log-likelihoods in nats, for each order of the examples.
      blind: of the model that sees no image.
      averaged: how many orders, the first ones, the answer is the mean over.
    """
    shares, unseen = _log_shares(scores[:averaged].mean(axis=0)), _log_shares(blind)
    chosen = int(shares.argmax())
    most = max(Counter(scores.argmax(axis=1).tolist()).values())
    return Evidence(
        likelihood=float(shares[chosen]),
        agreement=float(np.exp(shares[chosen])),
        entropy=-float(np.exp(shares) @ shares),
        dispersion=1 - most / len(scores) if len(scores) > 1 else None,
        image_gain=float(shares[chosen] - unseen[chosen]),
    )


def _log_shares(scores: Float[np.ndarray, " candidates"]) -> Float[np.ndarray, " candidates"]:
    """Of the candidates' probability; those that cannot be are as unlikely as floats get, and not impossible."""
    shares = scores - np.logaddexp.reduce(scores)
    return np.maximum(shares, -700.0)
