"""The loss of each token, from logits or, without ever holding all logits, from the states that they are made of."""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int


def token_losses(
    logits: Callable[[Float[Array, "batch chunk width"]], Sequence[Float[Array, "batch chunk part"]]],
    states: Float[Array, "batch length width"],
    tokens: Int[Array, "batch length"],
    chunk: int = 0,
) -> Float[Array, "batch length"]:
    """Negative log-likelihood (nats) of each token given those before it; 0 for the first of a row.

    The logits are of `chunk` positions of each row at a time (0: of all at once). Of several chunks the backward pass
    computes the logits once more instead of keeping them: memory is that of one chunk, and one more product with the
    output table is the price. A length that `chunk` does not divide is padded.

    Args:
      logits: of some states, in parts of the vocabulary that follow one another. They stay apart, as joining a part
        that lies on several devices with one of a few new tokens would move all of it.
    """
    batch, length = tokens.shape
    if not 0 < chunk < length:
        losses = _nll(logits(states), jnp.roll(tokens, -1, axis=1))
        return jnp.pad(losses[:, :-1], ((0, 0), (1, 0)))
    count = -(-length // chunk)
    targets = jnp.pad(tokens[:, 1:], ((0, 0), (0, count * chunk - length + 1)))
    states = jnp.pad(states, ((0, 0), (0, count * chunk - length), (0, 0)))

    @jax.checkpoint
    def losses(pair):
        return _nll(logits(pair[0]), pair[1])

    def cut(x: Array) -> Array:
        return jnp.moveaxis(x.reshape(batch, count, chunk, *x.shape[2:]), 1, 0)

    found = jax.lax.map(losses, (cut(states), cut(targets)))
    found = jnp.moveaxis(found, 0, 1).reshape(batch, count * chunk)[:, : length - 1]
    return jnp.pad(found, ((0, 0), (1, 0)))


def _nll(parts: Sequence[Float[Array, "batch length part"]], targets: Int[Array, "batch length"]):
    normalizer, picked, start = None, 0.0, 0
    for part in parts:
        part = part.astype(jnp.float32)
        total = jax.nn.logsumexp(part, axis=-1)
        normalizer = total if normalizer is None else jnp.logaddexp(normalizer, total)
        # A sum and not an index: where the vocabulary lies on several devices, nothing but the sum moves.
        is_target = jnp.arange(start, start + part.shape[-1]) == targets[..., None]
        picked = picked + jnp.sum(jnp.where(is_target, part, 0.0), axis=-1)
        start += part.shape[-1]
    return normalizer - picked
