"""Attention: the reference, which XLA compiles, and the way to the kernels."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from flamingo_jax.models import attention_kernels
from flamingo_jax.models.masks import Mask


def attention(
    query: Float[Array, "batch length heads head_dim"],
    key: Float[Array, "batch keys kv_heads head_dim"],
    value: Float[Array, "batch keys kv_heads head_dim"],
    mask: Mask | Bool[Array, " batch #one #length keys"],
    bias: Float[Array, "#batch heads length keys"] | None = None,
    scale: float | None = None,
    softcap: float = 0.0,
    kernel: str = "xla",
) -> Float[Array, "batch length heads head_dim"]:
    """Dot-product attention; `heads` may be a multiple of `kv_heads`.

    Scores are `query @ key * scale` (default `head_dim ** -0.5`), then `softcap * tanh(scores / softcap)` if `softcap`
    is not 0, then `+ bias`. The softmax is float32. A query that sees nothing gets exactly 0, not the mean of what it
    must not see, and passes no gradient on.

    `kernel` is one of `attention_kernels.KERNELS`: "xla" is the reference and does everything; the others do what the
    table there says, and XLA does the rest. Masks that are written out go to XLA.
    """
    scale = scale or query.shape[-1] ** -0.5
    dense = mask.dense() if isinstance(mask, Mask) else mask
    if isinstance(mask, Mask) and attention_kernels.can(kernel, mask, bias is not None, softcap):
        attended = attention_kernels.run(kernel, query, key, value, mask, bias, scale, softcap)
    elif softcap:
        attended = _softcapped(query, key, value, dense, bias, scale, softcap)
    else:
        attended = jax.nn.dot_product_attention(query, key, value, bias=bias, mask=dense, scale=scale)
    sees_anything = jnp.any(dense, axis=-1)[:, 0, :, None, None]
    return jnp.where(sees_anything, attended, jnp.zeros_like(attended))


def _softcapped(query, key, value, mask, bias, scale, softcap):
    groups = query.shape[2] // key.shape[2]
    key, value = jnp.repeat(key, groups, axis=2), jnp.repeat(value, groups, axis=2)
    scores = jnp.einsum("blhd,bkhd->bhlk", query, key, preferred_element_type=jnp.float32) * scale
    scores = softcap * jnp.tanh(scores / softcap)
    if bias is not None:
        scores += bias
    weights = jax.nn.softmax(jnp.where(mask, scores, jnp.finfo(jnp.float32).min), axis=-1)
    return jnp.einsum("bhlk,bkhd->blhd", weights.astype(value.dtype), value)
