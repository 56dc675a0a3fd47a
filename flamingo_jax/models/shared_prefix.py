"""Attention of several rows of text that all go on from one prefix, whose keys and values are there once."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from flamingo_jax.models.masks import Mask


def attention_after(
    prefix: Mapping[str, Float[Array, "batch slots kv_heads head_dim"]],
    query: Float[Array, "rows length heads head_dim"],
    key: Float[Array, "rows own kv_heads head_dim"],
    value: Float[Array, "rows own kv_heads head_dim"],
    mask: Mask,
    bias: Float[Array, "#rows heads length keys"] | None,
    scale: float,
    softcap: float = 0.0,
) -> Float[Array, "rows length heads head_dim"]:
    """What `attention.attention` gives for keys and values that are those of the prefix and then each row's own.

    `rows` is a multiple of `batch`, neighbours share a prefix, and `keys` is `slots + own`. A prefix is read once for
    all of its rows, and never copied: the scores of both parts meet in one softmax. Every query must see some key, as
    those of text do, which see themselves.

    Args:
      prefix: its `key` and `value`.
      mask: of all keys.
    """
    (batch, _, kv_heads, head_dim), (rows, length, heads, _) = prefix["key"].shape, query.shape
    shared, groups = rows // batch, heads // kv_heads

    def cut(x: Array, *head_axes: int) -> Array:
        return x.reshape(batch, shared, x.shape[1], *head_axes, head_dim)

    query, key, value = cut(query, kv_heads, groups), cut(key, kv_heads), cut(value, kv_heads)
    wide = {"preferred_element_type": jnp.float32}
    scores = jnp.concatenate(
        [
            jnp.einsum("bnlhgd,bshd->bhgnls", query, prefix["key"], **wide),
            jnp.einsum("bnlhgd,bnshd->bhgnls", query, key, **wide),
        ],
        axis=-1,
    )
    scores *= scale
    if softcap:
        scores = softcap * jnp.tanh(scores / softcap)
    if bias is not None:
        count = 1 if len(bias) == 1 else batch
        bias = bias.reshape(count, len(bias) // count, kv_heads, groups, *bias.shape[2:])
        scores += jnp.moveaxis(bias, 1, 3)
    sees = mask.dense().reshape(batch, 1, 1, shared, length, -1)
    weights = jax.nn.softmax(jnp.where(sees, scores, jnp.finfo(jnp.float32).min), axis=-1).astype(value.dtype)
    before, own = jnp.split(weights, [prefix["key"].shape[1]], axis=-1)
    attended = jnp.einsum("bhgnls,bshd->bnlhgd", before, prefix["value"], **wide)
    attended += jnp.einsum("bhgnls,bnshd->bnlhgd", own, value, **wide)
    return attended.astype(value.dtype).reshape(rows, length, heads, head_dim)
