"""Attention, and the masks that decide who sees whom.

The page decides, the model obeys: every mask is a pure function of arrays that the data pipeline computed, so packing,
few-shot prompts, video and "all previous images" are data and not branches of the model. For the page

    <BOS> Two pets <EOC> <image> a cat <EOC> <image> a dog <EOC>

    token        <BOS> Two pets <EOC> | <image> a cat <EOC> | <image> a dog <EOC>
    image_index    0    0   0     0   |    1    1  1    1   |    2    2  2    2

each token attends to the visual tokens of exactly one image, and those with index 0 to none.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int


def attention(
    query: Float[Array, "batch length heads head_dim"],
    key: Float[Array, "batch keys kv_heads head_dim"],
    value: Float[Array, "batch keys kv_heads head_dim"],
    mask: Bool[Array, "batch #one #length keys"],
    bias: Float[Array, "#batch heads length keys"] | None = None,
    scale: float | None = None,
    softcap: float = 0.0,
) -> Float[Array, "batch length heads head_dim"]:
    """Dot-product attention; `heads` may be a multiple of `kv_heads`.

    Scores are `query @ key * scale` (default `head_dim ** -0.5`), then `softcap * tanh(scores / softcap)` if `softcap`
    is not 0, then `+ bias`. The softmax is float32. A query whose mask row is all False gets exactly 0, not the mean of
    what it must not see.
    """
    if softcap:
        attended = _softcapped(query, key, value, mask, bias, scale or query.shape[-1] ** -0.5, softcap)
    else:
        attended = jax.nn.dot_product_attention(query, key, value, bias=bias, mask=mask, scale=scale)
    sees_anything = jnp.any(mask, axis=-1)[:, 0, :, None, None]
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


def causal_mask(
    segment_ids: Int[Array, "batch length"],
    key_segment_ids: Int[Array, "batch keys"] | None = None,
    offset: Int[Array, ""] | int = 0,
) -> Bool[Array, "batch 1 length keys"]:
    """Token l sees the earlier tokens of its own segment, and itself. Segment 0 is padding: it is seen by nobody.

    In decoding with a cache the keys are the cache's slots (`key_segment_ids`) and the queries start at slot `offset`.
    """
    if key_segment_ids is None:
        key_segment_ids = segment_ids
    slots = jnp.arange(segment_ids.shape[1]) + offset
    causal = slots[:, None] >= jnp.arange(key_segment_ids.shape[1])[None, :]
    same = (segment_ids[:, :, None] == key_segment_ids[:, None, :]) & (key_segment_ids[:, None, :] > 0)
    return (causal[None] & same)[:, None]


def image_causal_mask(
    image_index: Int[Array, "batch length"],
    num_images: int,
    num_latents: int,
    image_first: Int[Array, "batch length"] | None = None,
) -> Bool[Array, "batch 1 length keys"]:
    """Token l sees the visual tokens of images `image_first[l]..image_index[l]` (1-based, inclusive).

    Without `image_first` that is image `image_index[l]` alone: the paper's phi (section 2.3), 0 = no image.
    The keys are `num_images * num_latents` visual tokens, image by image.
    """
    first = image_index if image_first is None else image_first
    images = jnp.arange(1, num_images + 1)
    sees = (images >= first[:, :, None]) & (images <= image_index[:, :, None])
    return jnp.repeat(sees, num_latents, axis=-1)[:, None]
