"""Log-likelihoods of given continuations: each prompt goes through the model once, its candidates go on from there."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from flamingo_jax.inference.buckets import bucket
from flamingo_jax.inference.prefill import Prefix, extend
from flamingo_jax.models.flamingo import Flamingo
from flamingo_jax.training.state import Params

TOKENS_AT_ONCE = 1024
"""Tokens of candidates that go through the model at a time, over all prompts of a batch. It bounds memory, logits are
the most of it; accelerators need some hundreds to be busy with matrix products rather than with reading weights."""

Scorer = Callable[[Params, Prefix, Array, Array, Array], Array]


@dataclasses.dataclass(frozen=True)
class Candidates:
    """What a prompt's candidates score, in their order.

    Attributes:
      log_likelihoods: sums over each candidate's tokens, in nats.
      counts: their numbers of tokens.
    """

    log_likelihoods: Float[np.ndarray, " candidates"]
    counts: Int[np.ndarray, " candidates"]

    @property
    def means(self) -> Float[np.ndarray, " candidates"]:
        """Log-likelihoods per token: scores normalized by length, which the paper neither has nor rules out."""
        return self.log_likelihoods / self.counts


def make_candidate_scorer(model: Flamingo) -> Scorer:
    """The function that scores some candidates of each prompt; the caller jits it.

    Its arguments are the parameters; `Prefix` and logits `[batch, vocab]` that `prefill` gives; tokens
    `[batch, candidates, length]`, and their counts `[batch, candidates]`. It returns sums of log-likelihoods
    `[batch, candidates]`.
    """

    def score(
        params: Params,
        prefix: Prefix,
        logits: Float[Array, "batch vocab"],
        tokens: Int[Array, "batch candidates length"],
        counts: Int[Array, "batch candidates"],
    ) -> Float[Array, "batch candidates"]:
        first = jnp.take_along_axis(jax.nn.log_softmax(logits, axis=-1), tokens[:, :, 0], axis=1)
        if tokens.shape[2] == 1:
            return first
        losses, _ = extend(model, params, prefix, tokens.reshape(-1, tokens.shape[2]), loss_chunk=0)
        told = jnp.arange(tokens.shape[2]) < counts[:, :, None]
        return first - jnp.sum(jnp.where(told, losses.reshape(tokens.shape), 0), axis=2)

    return score


@dataclasses.dataclass(frozen=True)
class Part:
    """Candidates that are scored together, as many of each prompt and padded to one length.

    Attributes:
      places: [batch, some], of each in its prompt's list; -1: a filling that stands for none.
      tokens, counts: [batch, some, length] and [batch, some].
    """

    places: Int[np.ndarray, "batch some"]
    tokens: Int[np.ndarray, "batch some length"]
    counts: Int[np.ndarray, "batch some"]


def parts(candidates: Sequence[Sequence[Sequence[int]]], at_once: int = TOKENS_AT_ONCE) -> Iterator[Part]:
    """Cuts each prompt's candidates, given as tokens, into parts of at most `at_once` tokens in all (but at least one
    candidate of each prompt).

    Lengths and numbers are filled up to a few (`buckets`), so that few programs serve all. Where not all fit into one
    part, those of similar length go together, and little is filled.
    """
    batch, longest = len(candidates), max((len(tokens) for row in candidates for tokens in row), default=1)
    everything = bucket(max(map(len, candidates))) * bucket(longest) * batch <= at_once
    lengths = [[bucket(longest if everything else len(tokens)) for tokens in row] for row in candidates]
    for length in sorted({each for row in lengths for each in row}):
        places = [[place for place, each in enumerate(row) if each == length] for row in lengths]
        most = max(map(len, places))
        some = min(bucket(most), max(1, at_once // (batch * length)))
        for start in range(0, most, some):
            yield _part(candidates, [row[start : start + some] for row in places], some, length)


def _part(
    candidates: Sequence[Sequence[Sequence[int]]], chosen: Sequence[Sequence[int]], some: int, length: int
) -> Part:
    shape = (len(candidates), some)
    part = Part(np.full(shape, -1), np.zeros((*shape, length), np.int32), np.ones(shape, np.int32))
    for row, places in enumerate(chosen):
        part.places[row, : len(places)] = places
        for column, place in enumerate(places):
            tokens = candidates[row][place]
            part.tokens[row, column, : len(tokens)], part.counts[row, column] = tokens, len(tokens)
    return part
