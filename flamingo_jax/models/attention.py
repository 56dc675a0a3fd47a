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
) -> Float[Array, "batch length heads head_dim"]:
    """Scaled dot-product attention; `heads` may be a multiple of `kv_heads`.

    The softmax is float32. A query whose mask row is all False gets exactly 0, not the mean of what it must not see.
    """
    sees_anything = jnp.any(mask, axis=-1)[:, 0, :, None, None]
    attended = jax.nn.dot_product_attention(query, key, value, mask=mask)
    return jnp.where(sees_anything, attended, jnp.zeros_like(attended))


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


def rotary(
    x: Float[Array, "batch length heads head_dim"], positions: Int[Array, "batch length"], theta: float
) -> Float[Array, "batch length heads head_dim"]:
    """Rotary position embedding in the rotate-half layout: channel i turns with channel i + head_dim / 2."""
    half = x.shape[-1] // 2
    frequencies = theta ** (-jnp.arange(half, dtype=jnp.float32) / half)
    angles = positions.astype(jnp.float32)[:, :, None, None] * frequencies
    cos, sin = jnp.cos(angles), jnp.sin(angles)
    first, second = jnp.split(x.astype(jnp.float32), 2, axis=-1)
    turned = jnp.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1)
    return turned.astype(x.dtype)
