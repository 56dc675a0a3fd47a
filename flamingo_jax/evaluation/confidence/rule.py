"""The rule by which a model says that it does not know, as a file in its workdir."""

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from etils import epath

from flamingo_jax.config import ConfigError
from flamingo_jax.evaluation.confidence.evidence import DIRECTIONS, Evidence, EvidenceConfig
from flamingo_jax.evaluation.confidence.logistic import sigmoid
from flamingo_jax.evaluation.model_digest import parameters_digest
from flamingo_jax.html.files import write_whole
from flamingo_jax.inference.session import Session

ABSTENTION = "I don't know."
"""What is said in place of an answer whose evidence is thin."""
FILE = "abstention.json"
_FORMAT = 1


@dataclasses.dataclass(frozen=True)
class AbstentionRule:
    """A model of the confidence in an answer, and the least confidence to answer with.

    Attributes:
      signals: names of those that count, fields of `Evidence`.
      means, scales: what is subtracted from each signal, and what it is then divided by.
      weights, bias: of the standardized signals; their sum is the confidence's logit.
      threshold: the least confidence to answer with; None: none holds the risk, so that nothing is answered.
      risk: mean loss of what is answered, at most, in [0, 1].
      delta: the probability, over draws of DEV, that the risk is above that all the same.
      ranked: whether it is for the likeliest of given candidates, and not for answers that the model writes.
      gathering: how the evidence is to be gathered.
      step, parameters: of the model: its update, and `parameters_digest`.
      dev: figures of the DEV questions.

    Raises:
      ValueError: a value is out of range, or there is not one of each for every signal.
    """

    signals: tuple[str, ...]
    means: tuple[float, ...]
    scales: tuple[float, ...]
    weights: tuple[float, ...]
    bias: float
    threshold: float | None
    risk: float
    delta: float
    ranked: bool
    gathering: EvidenceConfig
    step: int
    parameters: str
    dev: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        if unknown := set(self.signals) - set(DIRECTIONS):
            raise ValueError(f"AbstentionRule.signals has {sorted(unknown)}: they are {', '.join(DIRECTIONS)}")
        numbers = (*self.means, *self.scales, *self.weights, self.bias, self.threshold or 0.0)
        sizes = {len(each) for each in (self.signals, self.means, self.scales, self.weights)}
        if len(sizes) > 1 or not np.isfinite(numbers).all() or min(self.scales, default=1.0) <= 0:
            raise ValueError("AbstentionRule has a finite mean, scale above 0 and weight for each signal")
        for name in ("risk", "delta"):
            if not 0 < getattr(self, name) < 1:
                raise ValueError(f"AbstentionRule.{name} is above 0 and below 1, got {getattr(self, name)!r}")

    def confidence(self, evidence: Evidence) -> float:
        """The probability that the answer is right, 0 to 1.

        Raises:
          ValueError: a signal that counts is not there, such as the dispersion of a prompt without examples.
        """
        values = [getattr(evidence, name) for name in self.signals]
        if missing := [name for name, value in zip(self.signals, values, strict=True) if value is None]:
            raise ValueError(f"the rule needs {', '.join(missing)}: gather evidence as it was fitted, with examples")
        standard = (np.array(values, np.float64) - self.means) / self.scales
        return float(sigmoid(standard @ np.array(self.weights) + self.bias))

    def abstains(self, evidence: Evidence) -> bool:
        """Whether `ABSTENTION` is to be said.

        Raises:
          ValueError: as `confidence`.
        """
        return self.threshold is None or self.confidence(evidence) < self.threshold

    def check_model(self, session: Session) -> None:
        """Refuses a model that the rule was not fitted to.

        Raises:
          ConfigError: it is another checkpoint's, or its parameters have changed.
        """
        if session.step != self.step or parameters_digest(session.params) != self.parameters:
            raise ConfigError(
                f"the abstention rule was fitted to the checkpoint of step {self.step} (parameters {self.parameters}), "
                f"and this model is another, of step {session.step}: fit one with python -m flamingo_jax.abstain"
            )

    def save(self, path: epath.Path) -> None:
        """Writes it as one JSON file; `load` is the inverse."""
        write_whole(path, json.dumps({"format": _FORMAT, **dataclasses.asdict(self)}, indent=1) + "\n")

    @classmethod
    def load(cls, path: epath.Path) -> "AbstentionRule":
        """Reads what `save` wrote.

        Raises:
          ConfigError: the file is not there, damaged, or of another version.
        """
        path = epath.Path(path)
        try:
            content = dict(json.loads(path.read_text()))
            if (version := content.pop("format")) != _FORMAT:
                raise ValueError(f"it has format {version}, and this version reads {_FORMAT}")
            content["gathering"] = EvidenceConfig(**content["gathering"])
            lists = {name: tuple(content[name]) for name in ("signals", "means", "scales", "weights")}
            return cls(**content | lists)
        except FileNotFoundError as error:
            raise ConfigError(f"there is no {path}: fit a rule with python -m flamingo_jax.abstain") from error
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise ConfigError(f"{path} is no abstention rule ({error}): fit it anew") from error
