"""Answers as they are written: the prompts of one batch, each continued in its own way, and dropped when it is wanted
no more."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from flamingo_jax.data.tokenizer import Tokenizer
from flamingo_jax.inference.advancing import Sampling, Tokens
from flamingo_jax.inference.stops import shown

STOP, LENGTH = "stop", "length"
AT_ONCE = 4
"""Tokens between two looks at the answers: the host is asked a quarter as often as there are tokens."""


class Piece(NamedTuple):
    """What is new in the answer to one prompt.

    Attributes:
      place: of the prompt.
      text: what is to be added; may be empty. Together they are what `Session.answer` gives, cut at the stop texts.
      tokens: of the answer so far, the one that ended it included.
      log_likelihood: of all of them, in nats, under the model as it is (temperature 1, nothing cut off).
      finish: None: it goes on; "stop": `<EOC>`, `<EOS>` or a stop text; "length".
    """

    place: int
    text: str
    tokens: int
    log_likelihood: float
    finish: str | None


class _Answer:
    """The answer to one prompt so far."""

    def __init__(self, place: int, sampling: Sampling, tokenizer: Tokenizer, stop_ids: Sequence[int]):
        self._place, self._sampling, self._tokenizer, self._stop_ids = place, sampling, tokenizer, stop_ids
        self._ids: list[int] = []
        self._count, self._told = 0, ""
        self._log_likelihood = 0.0
        self.finish: str | None = None
        self.dropped = False

    @property
    def wanted(self) -> bool:
        return self.finish is None and not self.dropped

    def take(self, tokens: np.ndarray, log_likelihoods: np.ndarray) -> Piece:
        """Adds tokens up to the end of the answer."""
        for token, log_likelihood in zip(tokens.tolist(), log_likelihoods.tolist(), strict=True):
            self._count += 1
            self._log_likelihood += log_likelihood
            if token in self._stop_ids:
                self.finish = STOP
            else:
                self._ids.append(token)
                if self._sampling.stops and self._shown(ended=False).stopped:
                    self.finish = STOP
                elif self._count == self._sampling.max_new_tokens:
                    self.finish = LENGTH
            if self.finish:
                break
        text = self._shown(ended=self.finish is not None)
        if text.stopped:
            self.finish = STOP  # a stop text that only the last token made plain
        new, self._told = text.text[len(self._told) :], text.text
        return Piece(self._place, new, self._count, self._log_likelihood, self.finish)

    def _shown(self, ended: bool):
        return shown(self._tokenizer.decode(self._ids), self._sampling.stops, ended)


class Stream(Iterator[list[Piece]]):
    """Gives what is new of every prompt that still goes on, every few tokens, until all are finished or dropped."""

    def __init__(
        self,
        samplings: Sequence[Sampling],
        tokenizer: Tokenizer,
        stop_ids: Sequence[int],
        rows: Sequence[int],
        advance: Callable[[np.ndarray], Tokens],
    ):
        """
        Args:
          samplings: of each prompt.
          rows: of the batch, the place of the prompt that each shows; the last ones may be copies, to fill it.
          advance: goes on with the rows that are wanted [batch], and gives their next tokens.
        """
        self._answers = [_Answer(place, each, tokenizer, stop_ids) for place, each in enumerate(samplings)]
        self._rows = {place: row for row, place in reversed([*enumerate(rows)])}
        self._size, self._advance = len(rows), advance

    def drop(self, place: int) -> None:
        """Nobody waits for the answer to this prompt any more."""
        self._answers[place].dropped = True

    def __next__(self) -> list[Piece]:
        """What is new.

        Raises:
          StopIteration: all are finished or dropped.
        """
        wanted = np.zeros(self._size, bool)
        going = [place for place, answer in enumerate(self._answers) if answer.wanted]
        if not going:
            raise StopIteration
        wanted[[self._rows[place] for place in going]] = True
        found = self._advance(wanted)
        return [
            self._answers[place].take(found.tokens[self._rows[place]], found.log_likelihoods[self._rows[place]])
            for place in going
        ]
