"""Evaluations in the middle of a training run: what they must be like, and when they are due."""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import jax

from flamingo_jax.training.design import Design
from flamingo_jax.training.state import Params

_logger = logging.getLogger(__name__)

GiveUp = Callable[[], bool]
"""Whether an evaluation should end at once, without figures: the run is to stop. All processes must ask alike."""


class Evaluation(Protocol):
    """An entry of `RunConfig.evaluations`: a configuration that makes a function of the parameters.

    Attributes:
      every: updates between two evaluations; the last update is evaluated too. One that is cut short by the end of the
        process is not made again: the run was saved before it, so it can be made from the checkpoint.
    """

    every: int

    def make(self, design: Design) -> Callable[[Params, GiveUp], Mapping[str, float]]:
        """Opens what is needed, before the run begins, and returns what gives figures by their names.

        All processes call it alike, with all parameters.

        Raises:
          ConfigError: something is missing.
        """


class Evaluations:
    """All evaluations of a run."""

    def __init__(self, configs: Sequence[Any], design: Design, steps: int):
        """
        Args:
          configs: see `Evaluation`.
          steps: updates of the whole run.
        """
        self._steps = steps
        self._made = [(config.every, config.make(design)) for config in configs]

    def due(self, step: int) -> bool:
        """Whether one is to be made after this update."""
        return any(self._due(step, every) for every, _ in self._made)

    def __call__(self, step: int, params: Params, give_up: GiveUp) -> dict[str, float]:
        """The figures of those that are due."""
        found: dict[str, float] = {}
        for every, evaluate in self._made:
            if self._due(step, every):
                found |= evaluate(params, give_up)
        if found and jax.process_index() == 0:
            _logger.info("update %d: %s", step, ", ".join(f"{name} {value:.4g}" for name, value in found.items()))
        return found

    def _due(self, step: int, every: int) -> bool:
        return step % every == 0 or step == self._steps
