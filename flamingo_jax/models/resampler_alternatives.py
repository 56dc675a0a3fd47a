"""What the paper compared the Perceiver Resampler with (table 3, row "Resampler"): a Transformer and an MLP.

Both get the Resampler's parameter budget (188.7M in the layers) and give as many visual tokens. The paper states
neither their sizes nor how they reduce the number of features; the defaults and the read-outs here are choices.
"""

import dataclasses

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from flamingo_jax.models.attention import attention
from flamingo_jax.models.layers import LayerNorm, Projection, activation
from flamingo_jax.models.resampler import flat_features


@dataclasses.dataclass(frozen=True)
class TransformerResamplerConfig:
    """A Transformer over features and latents together, of which the latents are read out.

    Attributes: as in `PerceiverResamplerConfig`.
    """

    width: int = 1536
    num_latents: int = 64
    num_layers: int = 6
    num_heads: int = 16
    head_dim: int = 128
    hidden_multiplier: int = 4
    activation: str = "squared_relu"
    max_frames: int = 8
    project_input: bool = True
    latents_init_std: float = 0.02
    time_init_std: float = 0.02
    norm_eps: float = 1e-5

    def __post_init__(self):
        activation(self.activation)

    def make(self, dtype: jnp.dtype, name: str | None = None) -> "TransformerResampler":
        """The module."""
        return TransformerResampler(self, dtype, name=name)


@dataclasses.dataclass(frozen=True)
class MlpResamplerConfig:
    """Residual dense layers over each feature, then means over neighbouring ones.

    Attributes: as in `PerceiverResamplerConfig`. Ten layers hold the parameters of the Resampler's six.
    """

    width: int = 1536
    num_latents: int = 64
    num_layers: int = 10
    hidden_multiplier: int = 4
    activation: str = "squared_relu"
    max_frames: int = 8
    project_input: bool = True
    time_init_std: float = 0.02
    norm_eps: float = 1e-5

    def __post_init__(self):
        activation(self.activation)

    def make(self, dtype: jnp.dtype, name: str | None = None) -> "MlpResampler":
        """The module."""
        return MlpResampler(self, dtype, name=name)


class _Layer(nn.Module):
    """`x += dense(norm(x))`, after `x += attention(norm(x))` where the config has heads."""

    config: TransformerResamplerConfig | MlpResamplerConfig
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "batch features width"], mask: Bool[Array, "batch 1 1 features"]):
        config, width = self.config, x.shape[-1]

        def project(features, axes, name, **options):
            return Projection(features, axes, dtype=self.dtype, name=name, **options)

        if isinstance(config, TransformerResamplerConfig):
            states = LayerNorm(config.norm_eps, self.dtype, name="attention_norm")(x)
            heads, axes = (config.num_heads, config.head_dim), ("resampler_embed", "heads", "head_dim")
            query, key, value = (project(heads, axes, name)(states) for name in ("query", "key", "value"))
            output = project((width,), ("heads", "head_dim", "resampler_embed"), "output", contracted=2)
            x = x + output(attention(query, key, value, mask))
        states = LayerNorm(config.norm_eps, self.dtype, name="dense_norm")(x)
        states = project((width * config.hidden_multiplier,), ("resampler_embed", "mlp"), "dense_in")(states)
        states = activation(config.activation)(states)
        return x + project((width,), ("mlp", "resampler_embed"), "dense_out")(states), None

    @classmethod
    def stacked(cls, length: int):
        """`length` layers, their parameters stacked on a leading axis."""
        return nn.scan(
            cls,
            variable_axes={"params": 0},
            split_rngs={"params": True},
            in_axes=nn.broadcast,
            length=length,
            metadata_params={nn.PARTITION_NAME: "layers"},
        )


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
        features, seen = flat_features(self, config, features, frame_mask)
        init = nn.with_logical_partitioning(
            nn.initializers.normal(config.latents_init_std), ("latents", "resampler_embed")
        )
        latents = self.param("latents", init, (config.num_latents, config.width)).astype(self.dtype)
        latents = jnp.broadcast_to(latents, (features.shape[0], *latents.shape))
        x = jnp.concatenate([features, latents], axis=1)
        mask = jnp.pad(seen, ((0, 0), (0, config.num_latents)), constant_values=True)[:, None, None]
        x, _ = _Layer.stacked(config.num_layers)(config, self.dtype, name="layers")(x, mask)
        return LayerNorm(config.norm_eps, self.dtype, name="final_norm")(x[:, -config.num_latents :])


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
        x, seen = flat_features(self, config, features, frame_mask)
        x, _ = _Layer.stacked(config.num_layers)(config, self.dtype, name="layers")(x, seen[:, None, None])
        shares = _shares(x.shape[1], config.num_latents) * seen[:, None]
        shares = shares / jnp.maximum(jnp.sum(shares, axis=-1, keepdims=True), 1e-6)
        x = jnp.einsum("blf,bfw->blw", shares.astype(self.dtype), x)
        return LayerNorm(config.norm_eps, self.dtype, name="final_norm")(x)


def _shares(features: int, tokens: int) -> Float[np.ndarray, "tokens features"]:
    """How much of each feature's place in the row belongs to each token's equal part of the row."""
    edges = np.arange(features + 1) / features
    low, high = np.arange(tokens)[:, None] / tokens, np.arange(1, tokens + 1)[:, None] / tokens
    return np.maximum(np.minimum(edges[None, 1:], high) - np.maximum(edges[None, :-1], low), 0).astype(np.float32)
