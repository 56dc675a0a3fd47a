"""What is asked of the engine, and why it may refuse at once."""

import dataclasses
from collections.abc import Sequence

from flamingo_jax.inference.advancing import Sampling
from flamingo_jax.inference.batches import Prompt
from flamingo_jax.inference.media import Medium


class Refused(ValueError):
    """The engine cannot do what is asked, now or later; the message is one line."""


class Busy(Exception):
    """The engine takes nothing more now.

    Attributes:
      reason: one line.
      retry_after: seconds after which it is worth another try.
    """

    def __init__(self, reason: str, retry_after: float):
        super().__init__(reason)
        self.reason, self.retry_after = reason, retry_after


class Closing(Busy):
    """The engine is being closed, and takes nothing more at all."""


@dataclasses.dataclass(frozen=True)
class Request:
    """One prompt, and how it is to be answered.

    Attributes:
      prompt_text: with `<image>` and `<EOC>` tags.
      media: of its tags, in order.
      sampling: how it is continued.
      beams: above 1 the answer is searched for with so many beams, and comes as a whole. A program is compiled for each
        number of beams and each `sampling.max_new_tokens`, and a search cannot be interrupted.
      abstain: whether "I don't know." is said in place of an answer that the rule does not trust. The answer comes as a
        whole. What the rule judges by is also compiled for each `sampling.max_new_tokens`, and cannot be interrupted.

    Raises:
      Refused: a draw is asked of a beam search.
    """

    prompt_text: str
    media: Sequence[Medium] = ()
    sampling: Sampling = dataclasses.field(default_factory=Sampling)
    beams: int = 1
    abstain: bool = False

    def __post_init__(self):
        if self.beams < 1:
            raise Refused(f"beams is a whole number, 1 or more; got {self.beams}")
        if self.beams > 1 and self.sampling.temperature > 0:
            raise Refused(f"{self.beams} beams search for the likeliest answer: set temperature to 0, or beams to 1")

    @property
    def prompt(self) -> Prompt:
        """As `Session` takes it."""
        return self.prompt_text, self.media

    @property
    def kind(self) -> tuple[int, int]:
        """Requests of one kind share a batch: all that are streamed; beam searches of one width and length."""
        return (1, 0) if self.beams == 1 else (self.beams, self.sampling.max_new_tokens)

    @property
    def whole(self) -> bool:
        """Whether nothing may be shown before all of the answer is known."""
        return self.beams > 1 or self.abstain
