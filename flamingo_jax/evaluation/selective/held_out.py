"""What an abstention rule does on questions that it was not fitted to."""

import dataclasses
from typing import Any

import numpy as np

from flamingo_jax.evaluation.confidence.bounds import interval
from flamingo_jax.evaluation.confidence.evidence import DIRECTIONS, Evidence
from flamingo_jax.evaluation.confidence.rule import AbstentionRule
from flamingo_jax.evaluation.selective.answers import Answers
from flamingo_jax.evaluation.selective.comparison import compare

RULE = "rule"


def held_out(rule: AbstentionRule, answers: Answers) -> dict[str, Any]:
    """Risk and coverage of the rule, and its order of the answers beside that of each signal, as JSON has them.

    Raises:
      ValueError: an answer lacks a signal that the rule counts.
    """
    confidences = np.array([rule.confidence(each) for each in answers.evidence])
    answered = np.array([not rule.abstains(each) for each in answers.evidence])
    orders = {RULE: confidences}
    for name in (field.name for field in dataclasses.fields(Evidence)):
        values = [getattr(each, name) for each in answers.evidence]
        if None not in values:
            orders[name] = DIRECTIONS[name] * np.array(values)
    return {
        "answered": _share(answered.astype(float)),
        "risk": _share(answers.losses[answered]) if answered.any() else None,
        "kinds": {kind: _kind(kind, answers, answered) for kind in sorted({*answers.kinds} - {""})},
        **compare(orders, answers.losses, probabilities=RULE),
    }


def _kind(kind: str, answers: Answers, answered: np.ndarray) -> dict[str, Any]:
    here = np.array([each == kind for each in answers.kinds])
    both = here & answered
    return {
        "answers": int(here.sum()),
        "answered": float(answered[here].mean()),
        "loss": float(answers.losses[here].mean()),
        "risk": float(answers.losses[both].mean()) if both.any() else None,
    }


def _share(values: np.ndarray) -> dict[str, float]:
    """The mean of numbers in [0, 1], with its 95% interval (Clopper and Pearson's where they are 0 and 1)."""
    low, high = interval(values)
    return {"value": float(values.mean()), "low": low, "high": high, "count": len(values)}
