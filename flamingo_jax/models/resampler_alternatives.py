"""What the paper compared the Perceiver Resampler with (table 3, row "Resampler"): a Transformer and an MLP.

Both get the Resampler's parameter budget (188.7M in the layers) and give as many visual tokens. The paper states
neither their sizes nor how they reduce the number of features; the defaults and the read-outs here are choices.
"""

import dataclasses

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from flamingo_jax.models.layers import LayerNorm
from flamingo_jax.models.resampler_layers import (
    AttendingSizes,
    ResamplerLayer,
    ResamplerSizes,
    flat_features,
    initial_latents,
)


@dataclasses.dataclass(frozen=True)
class TransformerResamplerConfig(AttendingSizes):
    """A Transformer over features and latents together, of which the latents are read out."""

    def make(self, dtype: jnp.dtype, name: str | None = None) -> "TransformerResampler":
        """The module."""
        return TransformerResampler(self, dtype, name=name)


@dataclasses.dataclass(frozen=True)
class MlpResamplerConfig(ResamplerSizes):
    """Dense layers over each feature, then means over neighbouring ones.

    Attributes:
      num_layers: ten layers hold the parameters of the Resampler's six.
    """

    num_layers: int = 10

    def make(self, dtype: jnp.dtype, name: str | None = None) -> "MlpResampler":
        """The module."""
        return MlpResampler(self, dtype, name=name)


class TransformerLayer(ResamplerLayer):
    """Self-attention, then a dense branch; both are residual."""

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch length width"], mask: Bool[Array, "batch 1 1 length"]
    ) -> tuple[Float[Array, "batch length width"], None]:
        states = self.norm("attention_norm")(x)
        x = x + self.attend(states, states, mask)
        return x + self.dense(x), None


class MlpLayer(ResamplerLayer):
    """A residual dense branch."""

    @nn.compact
    def __call__(self, x: Float[Array, "batch length width"]) -> tuple[Float[Array, "batch length width"], None]:
        return x + self.dense(x), None


class TransformerResampler(nn.Module):
    """Turns the features of one image or clip into `num_latents` visual tokens."""

    config: TransformerResamplerConfig
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(
        self,
        features: Float[Array, "batch frames positions encoder_width"],
        frame_mask: Bool[Array, "batch frames"],
    ) -> Float[Array, "batch latents width"]:
        """Frames whose mask is False are not looked at."""
        config = self.config
        features, seen = flat_features(self, features, frame_mask)
        x = jnp.concatenate([features, initial_latents(self, len(features))], axis=1)
        mask = jnp.pad(seen, ((0, 0), (0, config.num_latents)), constant_values=True)[:, None, None]
        x, _ = TransformerLayer.stacked(config, self.dtype, 1)(x, mask)
        return LayerNorm(config.norm_eps, self.dtype, axis="resampler_embed", name="final_norm")(
            x[:, -config.num_latents :]
        )


class MlpResampler(nn.Module):
    """Turns the features of one image or clip into `num_latents` visual tokens."""

    config: MlpResamplerConfig
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(
        self,
        features: Float[Array, "batch frames positions encoder_width"],
        frame_mask: Bool[Array, "batch frames"],
    ) -> Float[Array, "batch latents width"]:
        """Frames whose mask is False have no part in the means; a token of only such frames is 0 before the norm."""
        config = self.config
        x, seen = flat_features(self, features, frame_mask)
        x, _ = MlpLayer.stacked(config, self.dtype, 0)(x)
        shares = _shares(x.shape[1], config.num_latents) * seen[:, None]
        shares = shares / jnp.maximum(jnp.sum(shares, axis=-1, keepdims=True), 1e-6)
        x = jnp.einsum("blf,bfw->blw", shares.astype(self.dtype), x)
        return LayerNorm(config.norm_eps, self.dtype, axis="resampler_embed", name="final_norm")(x)


def _shares(features: int, tokens: int) -> Float[np.ndarray, "tokens features"]:
    """How much of each feature's place in the row belongs to each token's equal part of the row."""
    edges = np.arange(features + 1) / features
    low, high = np.arange(tokens)[:, None] / tokens, np.arange(1, tokens + 1)[:, None] / tokens
    return np.maximum(np.minimum(edges[None, 1:], high) - np.maximum(edges[None, :-1], low), 0).astype(np.float32)
