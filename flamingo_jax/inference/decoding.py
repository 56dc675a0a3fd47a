"""How prompts are to be continued."""

import dataclasses
import math

from flamingo_jax.config import ConfigError

GREEDY, SAMPLE, BEAM = "greedy", "sample", "beam"
_FIELDS = {
    GREEDY: (),
    SAMPLE: ("temperature", "top_k", "top_p", "seed"),
    BEAM: ("beams", "length_penalty", "patient"),
}
"""Method -> the fields that are for it alone."""


@dataclasses.dataclass(frozen=True)
class Decoding:
    """How to continue prompts. The paper uses beam search with 3 beams for open-ended tasks (section 4.4.1 of its first
    version), and states neither the longest answer nor a length penalty.

    Attributes:
      method: "greedy", the most likely token each time; "sample"; or "beam".
      max_new_tokens: where a continuation ends that does not end itself with `<EOC>` or `<EOS>`.
      temperature: sample: logits are divided by it.
      top_k: sample: of the so many most likely tokens alone; 0: of all.
      top_p: sample: of the fewest most likely tokens whose probabilities sum to at least this (after temperature and
        `top_k`); 1: of all.
      seed: sample: the same prompts under another seed get other samples; 0 to 2**32 - 1.
      beams: beam: how many unfinished continuations are kept at a time.
      length_penalty: beam: continuations are ranked by their log-likelihood divided by their number of tokens, the
        last `<EOC>` included, to this power. 0 ranks by log-likelihood, as OpenFlamingo's evaluation does; above 0
        favours long ones.
      patient: beam: with a length penalty above 0 a continuation may gain by going on. False, as is the custom
        (`early_stopping=False` of transformers), ends a prompt when the best unfinished one, at its present length, is
        no better than any of `beams` finished ones; True (`early_stopping="never"`) when no length would make it so.
        The same for penalties of 0 and below, where the custom misses nothing.

    Raises:
      ConfigError: a value is out of range, or set for a method that does not look at it.
    """

    method: str = GREEDY
    max_new_tokens: int = 32
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    seed: int = 0
    beams: int = 3
    length_penalty: float = 0.0
    patient: bool = False

    def __post_init__(self):
        if self.method not in _FIELDS:
            raise ConfigError(f"Decoding.method is {self.method!r}: it is {', '.join(map(repr, _FIELDS))}")
        defaults = {field.name: field.default for field in dataclasses.fields(self)}
        for method, names in _FIELDS.items():
            for name in names:
                value = getattr(self, name)
                if method != self.method and value != defaults[name]:
                    raise ConfigError(
                        f"Decoding.{name} = {value!r} is for method {method!r}, and Decoding.method is "
                        f"{self.method!r}: leave one of them out"
                    )
        for name, low, high in (
            ("max_new_tokens", 1, math.inf),
            ("top_k", 0, math.inf),
            ("seed", 0, 2**32 - 1),
            ("beams", 1, math.inf),
        ):
            value = getattr(self, name)
            if not isinstance(value, int) or not low <= value <= high:
                most = f" to {high}" if high < math.inf else " or more"
                raise ConfigError(f"Decoding.{name} must be a whole number, {low}{most}; got {value!r}")
        if not 0 < self.temperature < math.inf:
            raise ConfigError(
                f"Decoding.temperature must be positive, got {self.temperature!r}: for the most likely tokens set "
                "Decoding.method to 'greedy'"
            )
        if not 0 < self.top_p <= 1:
            raise ConfigError(f"Decoding.top_p must be above 0 and at most 1, got {self.top_p!r}")
        if not math.isfinite(self.length_penalty):
            raise ConfigError(f"Decoding.length_penalty must be a finite number, got {self.length_penalty!r}")


DEFAULT = Decoding()
