"""Drawing the next token: temperature, then the k most likely, then the fewest that hold a share p of the rest."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, UInt32

from flamingo_jax.inference.decoding import Decoding
from flamingo_jax.inference.top_k import top_k


def most_likely(logits: Float[Array, "batch vocab"]) -> Int[Array, " batch"]:
    """The most likely token, the first of equals."""
    return jnp.argmax(logits, axis=-1).astype(jnp.int32)


def draw(
    logits: Float[Array, "batch vocab"], decoding: Decoding, keys: UInt32[Array, "batch 2"], step: Int[Array, ""] | int
) -> Int[Array, " batch"]:
    """A token for each row, that depends on its own logits and keys and on nothing else in the batch.

    Args:
      keys: two numbers a row, such as a seed and the number of a prompt.
      step: how many tokens were drawn before.
    """
    return draw_from(*kept(logits, decoding), keys, step)


def draw_from(
    logits: Float[Array, "batch kept"],
    tokens: Int[Array, "batch kept"] | None,
    keys: UInt32[Array, "batch 2"],
    step: Int[Array, ""] | int,
) -> Int[Array, " batch"]:
    """As `draw`, with what `kept` gives; `tokens` None: all of the vocabulary, in its order."""

    def one(values: Float[Array, "kept"], keys: UInt32[Array, "2"]) -> Int[Array, ""]:
        key = jax.random.key(0)
        for number in (keys[0], keys[1], jnp.uint32(step)):
            key = jax.random.fold_in(key, number)
        return jax.random.categorical(key, values)

    places = jax.vmap(one)(logits, keys).astype(jnp.int32)
    return places if tokens is None else jnp.take_along_axis(tokens, places[:, None], axis=1)[:, 0].astype(jnp.int32)


def kept(
    logits: Float[Array, "batch vocab"], decoding: Decoding
) -> tuple[Float[Array, "batch kept"], Int[Array, "batch kept"] | None]:
    """Logits of the tokens to draw from, and those tokens (None: all, in order); -inf: not that one.

    The most likely come first where there are fewer than all. Of equals the first in the vocabulary are kept, so
    `top_k` tokens are exactly so many.
    """
    logits = logits.astype(jnp.float32) / decoding.temperature
    vocab = logits.shape[-1]
    if decoding.top_k == 0 and decoding.top_p == 1:
        return logits, None
    values, tokens = top_k(logits, min(decoding.top_k or vocab, vocab))
    return (values if decoding.top_p == 1 else _nucleus(values, decoding.top_p)), tokens


def kept_of_each(
    logits: Float[Array, "batch vocab"], most: Int[Array, " batch"], share: Float[Array, " batch"]
) -> Float[Array, "batch vocab"]:
    """As `kept`, where rows differ in `top_k` and `top_p`: all logits in their order, -inf those not to draw from.

    So what a row draws does not depend on whether another one leaves tokens out.

    Args:
      logits: after temperature.
      most, share: `top_k` and `top_p`.
    """
    vocab = logits.shape[-1]
    values, tokens = top_k(logits, vocab)
    values = jnp.where(jnp.arange(vocab) < jnp.where(most > 0, most, vocab)[:, None], values, -jnp.inf)
    values = jnp.where(share[:, None] < 1, _nucleus(values, share[:, None]), values)
    last = jnp.sum(jnp.isfinite(values), axis=1, keepdims=True) - 1
    least, place = (jnp.take_along_axis(x, last, axis=1) for x in (values, tokens))
    inside = (logits > least) | ((logits == least) & (jnp.arange(vocab) <= place))
    return jnp.where(inside, logits, -jnp.inf)


def _nucleus(values: Float[Array, "batch kept"], share: Float[Array, "batch 1"] | float) -> Float[Array, "batch kept"]:
    """Of logits, the largest first, the fewest that hold at least `share` of the probability; the others -inf."""
    probabilities = jax.nn.softmax(values, axis=-1)
    likelier = jnp.cumsum(probabilities, axis=-1) - probabilities
    # The first one always stays, also where rounding makes its 0 a small number.
    outside = (likelier >= share) & (jnp.arange(values.shape[-1]) > 0)
    return jnp.where(outside, -jnp.inf, values)
