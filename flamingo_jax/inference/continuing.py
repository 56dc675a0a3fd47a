"""One token at a time, the most likely or a drawn one: one program for the prompts and all new tokens."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from flamingo_jax.inference.cache import empty_cache
from flamingo_jax.inference.decoding import SAMPLE, Decoding
from flamingo_jax.inference.prefill import Prompts, extend, prefill
from flamingo_jax.inference.sampling import draw, most_likely
from flamingo_jax.models.flamingo import Flamingo
from flamingo_jax.training.state import Params

RANDOM_KEYS = "random_keys"
"""Name of the prompts' keys for sampling, see `sampling.draw`."""


class Continuations(NamedTuple):
    """What follows some prompts.

    Attributes:
      tokens: a row ends at its first stop token, which is kept and fills the rest.
      log_likelihoods: the sum over each row's tokens, the stop token included, in nats.
    """

    tokens: Int[Array, "batch new"]
    log_likelihoods: Float[Array, " batch"]


Decoder = Callable[[Params, Prompts], Continuations]


def make_continuing(model: Flamingo, decoding: Decoding, stop_ids: Sequence[int]) -> Decoder:
    """The function of (parameters, prompts) for methods "greedy" and "sample"; the caller jits it.

    Sampling wants `RANDOM_KEYS` among the prompts' arrays.
    """
    stops, length = jnp.asarray([*stop_ids], jnp.int32), decoding.max_new_tokens

    def run(params: Params, prompts: Prompts) -> Continuations:
        def pick(logits, step):
            if decoding.method == SAMPLE:
                token = draw(logits, decoding, prompts[RANDOM_KEYS], step)
            else:
                token = most_likely(logits)
            scores = jax.nn.log_softmax(logits, axis=-1)
            return token, jnp.take_along_axis(scores, token[:, None], axis=-1)[:, 0]

        def more(carry):
            step, _, _, done, _, _ = carry
            return (step < length) & ~jnp.all(done)

        def advance(carry):
            step, token, tokens, done, total, cache = carry
            logits, cache = extend(model, params, prefix, token[:, None], cache, step - 1)
            picked, score = pick(logits, step)
            token = jnp.where(done, token, picked)  # rows that are done stay at their stop token
            total += jnp.where(done, 0, score)
            return step + 1, token, tokens.at[:, step].set(token), done | jnp.isin(token, stops), total, cache

        logits, prefix = prefill(model, params, prompts)
        batch = len(logits)
        first, total = pick(logits, 0)
        tokens = jnp.broadcast_to(first[:, None], (batch, length))
        cache = empty_cache(model.config, batch, max(1, length - 1))
        start = (jnp.ones((), jnp.int32), first, tokens, jnp.isin(first, stops), total, cache)
        _, _, tokens, _, total, _ = jax.lax.while_loop(more, advance, start)
        return Continuations(fill(tokens, stops), total)

    return run


def fill(tokens: Int[Array, "batch new"], stops: Int[Array, " stops"]) -> Int[Array, "batch new"]:
    """Fills what follows a row's first stop token with that token."""
    stopped = jnp.isin(tokens, stops)
    first = jnp.argmax(stopped, axis=1)
    ended = jnp.any(stopped, axis=1, keepdims=True) & (jnp.arange(tokens.shape[1]) > first[:, None])
    return jnp.where(ended, jnp.take_along_axis(tokens, first[:, None], axis=1), tokens)
