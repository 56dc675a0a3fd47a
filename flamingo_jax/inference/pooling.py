"""One vector for a picture or clip: what its likeness to others is told by."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, UInt8

from flamingo_jax.models.flamingo import Flamingo
from flamingo_jax.models.quantized import as_variables
from flamingo_jax.training.state import Params


def pooled_features(
    model: Flamingo,
    params: Params,
    images: UInt8[Array, "count frames size size 3"],
    frame_mask: Bool[Array, "count frames"],
) -> Float[Array, "count encoder_width"]:
    """The mean of the frozen encoder's output over positions and frames, scaled to length 1."""
    flat = images.reshape(-1, *images.shape[2:])
    states = model.apply(as_variables(params), flat, method="encode_pixels").astype(jnp.float32)
    means = states.mean(axis=1).reshape(*frame_mask.shape, -1)
    pooled = (means * frame_mask[..., None]).sum(axis=1) / jnp.maximum(frame_mask.sum(axis=1), 1)[:, None]
    return pooled / jnp.maximum(jnp.linalg.norm(pooled, axis=-1, keepdims=True), 1e-12)
