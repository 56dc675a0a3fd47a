"""Where a token stands: rotary turns, ALiBi slopes and Transformer-XL's relative scores.

Within a segment positions are consecutive, so the distance between two tokens is that of their slots, also in packed
rows, after padding and in a cache. Only rotary and learned positions need the positions themselves.
"""

import math

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from flamingo_jax.models.language.decoder_config import DecoderConfig, RotaryScaling


def rotary_frequencies(config: DecoderConfig, window: int) -> Float[np.ndarray, " half"]:
    """Radians a position, for each pair of channels, in a layer that sees `window` tokens back (0: all)."""
    theta = config.local_rope_theta if window and config.local_rope_theta else config.rope_theta
    half = config.rotary_width // 2
    frequencies = theta ** -(np.arange(half) / half)
    if not window:
        frequencies = _scaled(frequencies, config.rotary_scaling)
    return frequencies.astype(np.float32)


def _scaled(frequencies: np.ndarray, scaling: RotaryScaling) -> np.ndarray:
    if scaling.kind == "linear":
        return frequencies / scaling.factor
    if scaling.kind == "llama3":
        turns = scaling.original_length * frequencies / (2 * math.pi)
        low, high = scaling.low_frequency_factor, scaling.high_frequency_factor
        kept = np.clip((turns - low) / (high - low), 0, 1)
        return frequencies * (kept + (1 - kept) / scaling.factor)
    return frequencies


def rotary(
    x: Float[Array, "batch length heads head_dim"],
    positions: Int[Array, "batch length"],
    frequencies: Float[Array, " half"],
) -> Float[Array, "batch length heads head_dim"]:
    """Turns the first `2 * half` channels, channel i with channel i + half ("rotate half"); the rest stays."""
    half = frequencies.shape[0]
    angles = positions.astype(jnp.float32)[:, :, None, None] * frequencies
    cos, sin = jnp.cos(angles), jnp.sin(angles)
    first, second, rest = jnp.split(x.astype(jnp.float32), (half, 2 * half), axis=-1)
    turned = jnp.concatenate([first * cos - second * sin, second * cos + first * sin, rest], axis=-1)
    return turned.astype(x.dtype)


def alibi_slopes(num_heads: int, alibi_max: float) -> Float[np.ndarray, " heads"]:
    """What a step away costs each head: a geometric series down to `2**-alibi_max` (Press et al., 2022).

    Where `num_heads` is no power of two, MPT takes every second slope of the next power's series, then the others.
    """
    power = 2 ** math.ceil(math.log2(num_heads))
    slopes = 2.0 ** (-alibi_max * np.arange(1, power + 1) / power)
    if power != num_heads:
        slopes = np.concatenate([slopes[1::2], slopes[::2]])[:num_heads]
    return slopes.astype(np.float32)


def relative_encoding(length: int, keys: int, slot: Int[Array, ""] | int, width: int) -> Float[Array, "keys width"]:
    """Sinusoids of the distances `slot + length - 1 - j`, j = 0, 1, ..., `keys - 1`, from the farthest to the nearest.

    Those are all distances from `length` queries at `slot` back to `keys` keys at 0; none is to a later key.
    """
    distances = (slot + length - 1 - jnp.arange(keys)).astype(jnp.float32)
    frequencies = 10_000.0 ** -(np.arange(0, width, 2) / width)
    angles = distances[:, None] * frequencies.astype(np.float32)
    return jnp.concatenate([jnp.sin(angles), jnp.cos(angles)], axis=-1)


def relative_scores(
    query: Float[Array, "batch length heads head_dim"], way: Float[Array, "keys heads head_dim"]
) -> Float[Array, "batch heads length keys"]:
    """Score of each query with the projected encoding of its distance to each key that is not later than itself; at
    later keys stands any number.

    Scores with all distances, then row l shifted so that column k holds the distance of l and k: laid end to end with
    one number before each row, and cut into rows again, each begins one column later (Dai et al., 2019, appendix B).
    """
    scores = jnp.einsum("blhd,khd->bhlk", query, way, preferred_element_type=jnp.float32)
    *lead, length, keys = scores.shape
    flat = jnp.pad(scores, [(0, 0)] * (len(lead) + 1) + [(1, 0)]).reshape(*lead, length * (keys + 1))
    return flat[..., length:].reshape(*lead, length, keys)
