"""Beam search: one program for the prompts and all new tokens.

Each step extends every unfinished continuation of a prompt (a live beam) by every token and looks at the best of these:
those among the first `beams` that end are finished, and the best `beams` that do not end are the next live ones. The
finished ones are ranked by log-likelihood over length to the power of the penalty. These are the rules of transformers'
`generate(num_beams=..., do_sample=False)`.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from flamingo_jax.inference.cache import empty_cache, reorder
from flamingo_jax.inference.continuing import Continuations, Decoder, fill
from flamingo_jax.inference.decoding import Decoding
from flamingo_jax.inference.prefill import Prompts, extend, prefill
from flamingo_jax.inference.top_k import top_k
from flamingo_jax.models.flamingo import Flamingo
from flamingo_jax.training.state import Params

_NEVER = -jnp.inf  # the score of a place that nothing fills


class Beams(NamedTuple):
    """The search of each prompt, best first.

    Attributes:
      live, live_scores: unfinished continuations, and their log-likelihoods.
      ended, ended_scores, ended_totals: the best finished ones, what they are ranked by, and their log-likelihoods.
      closed: nothing that is live can still change the answer.
    """

    live: Int[Array, "batch beams new"]
    live_scores: Float[Array, "batch beams"]
    ended: Int[Array, "batch beams new"]
    ended_scores: Float[Array, "batch beams"]
    ended_totals: Float[Array, "batch beams"]
    closed: Bool[Array, " batch"]


def make_beam(model: Flamingo, decoding: Decoding, stop_ids: Sequence[int]) -> Decoder:
    """The function of (parameters, prompts) for method "beam"; the caller jits it."""
    stops, length = jnp.asarray(sorted(set(stop_ids)), jnp.int32), decoding.max_new_tokens

    def run(params: Params, prompts: Prompts) -> Continuations:
        def more(carry):
            step, beams, _ = carry
            return (step < length) & ~jnp.all(beams.closed)

        def advance(carry):
            step, beams, cache = carry
            newest = jax.lax.dynamic_index_in_dim(beams.live, step - 1, axis=2, keepdims=False)
            logits, cache = extend(model, params, prefix, newest.reshape(-1, 1), cache, step - 1)
            beams, parents = grow(beams, logits.reshape(*newest.shape, -1), step, decoding, stops)
            return step + 1, beams, reorder(cache, parents)

        logits, prefix = prefill(model, params, prompts)
        shape = (len(logits), decoding.beams)
        beams = begin(*shape, length)
        beams, _ = grow(beams, jnp.broadcast_to(logits[:, None], (*shape, logits.shape[-1])), 0, decoding, stops)
        cache = empty_cache(model.config, shape[0] * shape[1], max(1, length - 1))
        _, beams, _ = jax.lax.while_loop(more, advance, (jnp.ones((), jnp.int32), beams, cache))
        return Continuations(fill(beams.ended[:, 0], stops), beams.ended_totals[:, 0])

    return run


def begin(batch: int, beams: int, length: int) -> Beams:
    """One live beam of no tokens for each prompt."""
    tokens, never = jnp.zeros((batch, beams, length), jnp.int32), jnp.full((batch, beams), _NEVER)
    return Beams(tokens, never.at[:, 0].set(0), tokens, never, never, jnp.zeros(batch, bool))


def grow(
    beams: Beams,
    logits: Float[Array, "batch beams vocab"],
    step: Int[Array, ""] | int,
    decoding: Decoding,
    stops: Int[Array, " stops"],
) -> tuple[Beams, Int[Array, "batch beams"]]:
    """The search after one more token, of place `step`; and the live beams that the new ones go on from."""
    batch, count, vocab = logits.shape
    longest = beams.live.shape[2]
    scores = beams.live_scores[:, :, None] + jax.nn.log_softmax(logits, axis=-1)
    # So many that `count` unfinished ones are among them, whichever end.
    most = min(count * max(2, 1 + len(stops)), count * vocab)
    totals, places = top_k(scores.reshape(batch, -1), most)
    parents, tokens = places // vocab, (places % vocab).astype(jnp.int32)
    grown = _take(beams.live, parents).at[:, :, step].set(tokens)
    ends = jnp.isin(tokens, stops) | (step == longest - 1)

    live_scores, chosen = _best(jnp.where(ends, _NEVER, totals), count)
    live = _take(grown, chosen)

    def ranked(totals, tokens):
        return totals / jnp.asarray(tokens, jnp.float32) ** decoding.length_penalty

    may_end = ends & (jnp.arange(most) < count) & ~beams.closed[:, None]
    now_ended = jnp.where(may_end, ranked(totals, step + 1), _NEVER)
    ended_scores, kept = _best(jnp.concatenate([beams.ended_scores, now_ended], axis=1), count)
    ended = _take(jnp.concatenate([beams.ended, grown], axis=1), kept)
    ended_totals = _take(jnp.concatenate([beams.ended_totals, totals], axis=1), kept)

    # What the best live beam can still reach: log-likelihoods only fall, and lengths only help where they are rewarded.
    at_most = ranked(live_scores[:, 0], longest if decoding.length_penalty > 0 else step + 1)
    expected = at_most if decoding.patient else ranked(live_scores[:, 0], step + 1)
    closed = beams.closed | (at_most <= ended_scores[:, 0]) | (expected <= ended_scores[:, -1])
    return Beams(live, live_scores, ended, ended_scores, ended_totals, closed), _take(parents, chosen)


def _best(
    scores: Float[Array, "batch some"], count: int
) -> tuple[Float[Array, "batch beams"], Int[Array, "batch beams"]]:
    """The best `count`, filled up with places that nothing fills where there are fewer."""
    scores = jnp.pad(scores, ((0, 0), (0, max(0, count - scores.shape[1]))), constant_values=_NEVER)
    return top_k(scores, count)


def _take(x: Array, places: Int[Array, "batch some"]) -> Array:
    """Entries of the second axis, by their places in each row."""
    places = jnp.minimum(places, x.shape[1] - 1).reshape(*places.shape, *(1,) * (x.ndim - 2))
    return jnp.take_along_axis(x, places, axis=1)
