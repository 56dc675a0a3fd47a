"""What a user may choose about answers."""

import dataclasses
import math

from flamingo_jax.config import ConfigError
from flamingo_jax.inference.advancing import Sampling
from flamingo_jax.serving.dialogue.style import DIALOGUE, Style, find_style

MOST_TOKENS, MOST_BEAMS, MOST_SHOTS, MOST_TEMPERATURE = 512, 8, 32, 2.0
"""What is offered; the most examples are those of the paper (appendix A.2)."""


@dataclasses.dataclass(frozen=True)
class Settings:
    """How to answer.

    Attributes:
      style: name of the way to write turns, see `style`.
      answer_tokens: of an answer, at most.
      beams: of beam search; 1: none. The answer then comes whole.
      temperature: 0: the most likely token each time; above: drawn, the higher the freer.
      top_p: drawn from the most likely tokens that hold this share of the probability.
      seed: of what is drawn.
      shots: examples of the support folder to show before the conversation.
      abstain: whether to say "I don't know." where the rule of the workdir says so.

    Raises:
      ConfigError: a value is out of range, or two of them exclude each other.
    """

    style: str = DIALOGUE.name
    answer_tokens: int = 64
    beams: int = 1
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0
    shots: int = 0
    abstain: bool = False

    def __post_init__(self):
        find_style(self.style)
        for name, low, high in (
            ("answer_tokens", 1, MOST_TOKENS),
            ("beams", 1, MOST_BEAMS),
            ("seed", 0, 2**32 - 1),
            ("shots", 0, MOST_SHOTS),
        ):
            value = getattr(self, name)
            if type(value) is not int or not low <= value <= high:
                raise ConfigError(f"{name} is a whole number, {low} to {high}; got {value!r}")
        for name, high in (("temperature", MOST_TEMPERATURE), ("top_p", 1.0)):
            value = getattr(self, name)
            if type(value) not in (int, float) or not math.isfinite(value) or not 0 <= value <= high:
                raise ConfigError(f"{name} is a number, 0 to {high:g}; got {value!r}")
        if not self.top_p:
            raise ConfigError("top_p is above 0: the share of the probability to draw from")
        if type(self.abstain) is not bool:
            raise ConfigError(f"abstain is true or false; got {self.abstain!r}")
        if self.beams > 1 and self.temperature:
            raise ConfigError("beam search draws nothing: set beams to 1, or temperature to 0")

    @property
    def way(self) -> Style:
        """The style itself."""
        return find_style(self.style)

    @property
    def sampling(self) -> Sampling:
        """As the model is asked."""
        return Sampling(
            max_new_tokens=self.answer_tokens,
            temperature=float(self.temperature),
            top_p=float(self.top_p),
            seed=self.seed,
            stops=self.way.stops,
        )

    @property
    def repeatable(self) -> bool:
        """Whether the same question gets the same answer, whatever the seed."""
        return not self.temperature
