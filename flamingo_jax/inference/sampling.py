"""Drawing the next token: temperature, then the k most likely, then the fewest that hold a share p of the rest."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, UInt32

from flamingo_jax.inference.decoding import Decoding
from flamingo_jax.inference.top_k import top_k


def most_likely(logits: Float[Array, "batch vocab"]) -> Int[Array, "batch"]:
    """The most likely token, the first of equals."""
    return jnp.argmax(logits, axis=-1).astype(jnp.int32)


def draw(
    logits: Float[Array, "batch vocab"], decoding: Decoding, keys: UInt32[Array, "batch 2"], step: Int[Array, ""] | int
) -> Int[Array, "batch"]:
    """A token for each row, that depends on its own logits and keys and on nothing else in the batch.

    Args:
      keys: two numbers a row, such as a seed and the number of a prompt.
      step: how many tokens were drawn before.
    """
    values, tokens = kept(logits, decoding)

    def one(values: Float[Array, "kept"], keys: UInt32[Array, "2"]) -> Int[Array, ""]:
        key = jax.random.key(0)
        for number in (keys[0], keys[1], jnp.uint32(step)):
            key = jax.random.fold_in(key, number)
        return jax.random.categorical(key, values)

    places = jax.vmap(one)(values, keys)
    return jnp.take_along_axis(tokens, places[:, None], axis=1)[:, 0].astype(jnp.int32)


def kept(
    logits: Float[Array, "batch vocab"], decoding: Decoding
) -> tuple[Float[Array, "batch kept"], Int[Array, "batch kept"]]:
    """Logits of the tokens to draw from, and those tokens; -inf: not that one.

    The most likely come first where there are fewer than all. Of equals the first in the vocabulary are kept, so
    `top_k` tokens are exactly so many.
    """
    logits = logits.astype(jnp.float32) / decoding.temperature
    vocab = logits.shape[-1]
    if decoding.top_k == 0 and decoding.top_p == 1:
        return logits, jnp.broadcast_to(jnp.arange(vocab), logits.shape)
    values, tokens = top_k(logits, min(decoding.top_k or vocab, vocab))
    if decoding.top_p < 1:
        probabilities = jax.nn.softmax(values, axis=-1)
        likelier = jnp.cumsum(probabilities, axis=-1) - probabilities
        # The first one always stays, also where rounding makes its 0 a small number.
        outside = (likelier >= decoding.top_p) & (jnp.arange(values.shape[-1]) > 0)
        values = jnp.where(outside, -jnp.inf, values)
    return values, tokens
