"""A session without a model: it repeats the words of the prompt, as slowly and as badly as a test wants."""

import threading
import time
from collections.abc import Sequence

import numpy as np

from flamingo_jax.data.errors import MediaError
from flamingo_jax.inference.advancing import Sampling
from flamingo_jax.inference.candidates import Candidates
from flamingo_jax.inference.prompts import PromptError, check_media
from flamingo_jax.inference.session import Answer
from flamingo_jax.inference.streaming import LENGTH, STOP, Piece

BROKEN = b"broken"
"""The bytes of a medium that cannot be decoded."""


class FakeStream:
    """The words of each prompt, one a step; `STOP` after the last word, `LENGTH` where they are too many."""

    def __init__(self, session: "FakeSession", words: list[list[str]], samplings: Sequence[Sampling]):
        self._session, self._words, self._samplings = session, words, samplings
        self._given, self._going = 0, set(range(len(words)))

    def drop(self, place: int) -> None:
        self._going.discard(place)
        self._session.dropped.append(place)

    def __iter__(self):
        return self

    def __next__(self) -> list[Piece]:
        if not self._going:
            raise StopIteration
        self._session.step()
        pieces, self._given = [], self._given + 1
        for place in sorted(self._going):
            words, most = self._words[place], self._samplings[place].max_new_tokens
            over = self._given > len(words)
            finish = STOP if over else LENGTH if self._given == most else None
            text = "" if over else " " * (self._given > 1) + words[self._given - 1]
            pieces.append(Piece(place, text, self._given, -0.5 * self._given, finish))
            if finish:
                self._going.discard(place)
        return pieces


class FakeSession:
    """Has the methods of `Session` that the engine uses.

    Attributes:
      seconds: of each step of a stream; `start_seconds` before its first.
      gate: while it is not set, steps wait.
      fault: is raised by the next step.
      batches: how many prompts each stream had; `searches` likewise of `answers`.
      dropped: places that were dropped.
    """

    rows_at_once = 8

    def __init__(self, seconds: float = 0.0, start_seconds: float = 0.0, longest: int = 2000):
        self.seconds, self.start_seconds, self.longest = seconds, start_seconds, longest
        self.gate = threading.Event()
        self.gate.set()
        self.fault: Exception | None = None
        self.batches: list[int] = []
        self.searches: list[int] = []
        self.dropped: list[int] = []

    def check(self, prompt, more: int = 0) -> int:
        text, media = prompt
        check_media(text, media)
        tokens = len(text.encode().split()) + len(media)
        if tokens + more > self.longest:
            raise PromptError(f"{tokens} tokens, and up to {more} follow: there is room for {self.longest}")
        return tokens

    def stream(self, prompts, samplings, *, blind: bool = False) -> FakeStream:
        assert 0 < len(prompts) <= self.rows_at_once and len(prompts) == len(samplings)
        self.batches.append(len(prompts))
        words = [self._words(prompt) for prompt in prompts]
        time.sleep(self.start_seconds)
        return FakeStream(self, words, samplings)

    def answers(self, prompts, decoding, *, keys=None, blind: bool = False) -> list[Answer]:
        self.searches.append(len(prompts))
        self.step()
        most = decoding.max_new_tokens
        words = [self._words(prompt)[:most] for prompt in prompts]
        return [Answer(" ".join(each), min(len(each) + 1, most), -0.5 * len(each)) for each in words]

    def answer(self, prompts, decoding, *, keys=None, blind: bool = False) -> list[str]:
        return [answer.text for answer in self.answers(prompts, decoding)]

    def score_candidates(self, prompts, candidates, *, end_of_chunk: bool = True, blind: bool = False):
        """Every candidate is half as likely without the pictures."""
        return [Candidates(np.array([-2.0 if blind else -1.0]), np.array([2])) for _ in prompts]

    def step(self) -> None:
        self.gate.wait(30)
        time.sleep(self.seconds)
        if self.fault is not None:
            fault, self.fault = self.fault, None
            raise fault

    def _words(self, prompt) -> list[str]:
        self.check(prompt)
        if any(medium.encoded == BROKEN for medium in prompt[1]):
            raise MediaError("a medium that is broken")
        return prompt[0].split()
