"""The Perceiver Resampler (Flamingo, section 2.1): any number of features in, a fixed few visual tokens out."""

import dataclasses

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from flamingo_jax.models.attention import attention
from flamingo_jax.models.layers import LayerNorm, Projection, activation


@dataclasses.dataclass(frozen=True)
class PerceiverResamplerConfig:
    """Defaults are the paper's, the same for its three sizes; the remarks say where OpenFlamingo differs.

    Attributes:
      width: of the latents and of the visual tokens (OpenFlamingo: that of the vision encoder).
      num_latents: visual tokens per image or clip.
      num_layers: attention and dense layers, in pairs.
      num_heads, head_dim: 16 x 128 gives the paper's 194M parameters (OpenFlamingo: 8 x 64).
      hidden_multiplier: width of the dense branch over `width`.
      activation: of the dense branch (OpenFlamingo: gelu; IDEFICS: relu).
      qk_norm: a layer norm over each head of queries and keys (IDEFICS).
      max_frames: learned temporal embeddings, one a frame; 0 for none (OpenFlamingo's releases). More frames than that
        get linearly interpolated embeddings (the paper: 8 in training, 30 at inference).
      project_input: a linear map from the encoder's width to `width` (3072 to 1536 in the paper; OpenFlamingo: none).
      latents_init_std, time_init_std: initial standard deviations (not stated in the paper; OpenFlamingo draws latents
        with 1, which leaves the visual tokens of different images nearly equal at the start).
      norm_eps: of the layer norms.
    """

    width: int = 1536
    num_latents: int = 64
    num_layers: int = 6
    num_heads: int = 16
    head_dim: int = 128
    hidden_multiplier: int = 4
    activation: str = "squared_relu"
    qk_norm: bool = False
    max_frames: int = 8
    project_input: bool = True
    latents_init_std: float = 0.02
    time_init_std: float = 0.02
    norm_eps: float = 1e-5

    def __post_init__(self):
        activation(self.activation)

    def make(self, dtype: jnp.dtype, name: str | None = None) -> "PerceiverResampler":
        """The module."""
        return PerceiverResampler(self, dtype, name=name)


class ResamplerLayer(nn.Module):
    """Latents attend to the features and to themselves, then pass through a dense branch; both are residual."""

    config: PerceiverResamplerConfig
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(
        self,
        latents: Float[Array, "batch latents width"],
        features: Float[Array, "batch features width"],
        mask: Bool[Array, "batch 1 1 keys"],
    ) -> tuple[Float[Array, "batch latents width"], None]:
        config, width = self.config, latents.shape[-1]

        def project(features, axes, name, **options):
            return Projection(features, axes, dtype=self.dtype, name=name, **options)

        def norm(name, **options):
            return LayerNorm(config.norm_eps, self.dtype, name=name, **options)

        heads, axes = (config.num_heads, config.head_dim), ("resampler_embed", "heads", "head_dim")
        states = norm("latents_norm")(latents)
        sources = jnp.concatenate([norm("media_norm")(features), states], axis=1)
        query, key, value = (
            project(heads, axes, "query")(states),
            project(heads, axes, "key")(sources),
            project(heads, axes, "value")(sources),
        )
        if config.qk_norm:
            query = norm("query_head_norm", axis="head_dim")(query)
            key = norm("key_head_norm", axis="head_dim")(key)
        attended = attention(query, key, value, mask)
        output = project((width,), ("heads", "head_dim", "resampler_embed"), "output", contracted=2)
        latents = latents + output(attended)

        states = norm("dense_norm")(latents)
        states = project((width * config.hidden_multiplier,), ("resampler_embed", "mlp"), "dense_in")(states)
        states = activation(config.activation)(states)
        return latents + project((width,), ("mlp", "resampler_embed"), "dense_out")(states), None


class PerceiverResampler(nn.Module):
    """Turns the features of one image (one frame) or clip (several) into `num_latents` visual tokens."""

    config: PerceiverResamplerConfig
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(
        self,
        features: Float[Array, "batch frames positions encoder_width"],
        frame_mask: Bool[Array, "batch frames"],
    ) -> Float[Array, "batch latents width"]:
        """Frames whose mask is False are not looked at.

        Raises:
          ValueError: the encoder's width is not `width` and `project_input` is off.
        """
        config = self.config
        features, seen = flat_features(self, config, features, frame_mask)
        batch = features.shape[0]
        init = nn.initializers.normal(config.latents_init_std)
        axes = ("latents", "resampler_embed")
        table = self.param("latents", nn.with_logical_partitioning(init, axes), (config.num_latents, config.width))
        latents = jnp.broadcast_to(table.astype(self.dtype), (batch, *table.shape))
        mask = jnp.concatenate([seen, jnp.ones((batch, config.num_latents), bool)], axis=1)[:, None, None]

        layers = nn.scan(
            ResamplerLayer,
            variable_axes={"params": 0},
            split_rngs={"params": True},
            in_axes=(nn.broadcast, nn.broadcast),
            length=config.num_layers,
            metadata_params={nn.PARTITION_NAME: "layers"},
        )
        latents, _ = layers(config, self.dtype, name="layers")(latents, features, mask)
        return LayerNorm(config.norm_eps, self.dtype, name="final_norm")(latents)


def flat_features(
    module: nn.Module,
    config,
    features: Float[Array, "batch frames positions encoder_width"],
    frame_mask: Bool[Array, "batch frames"],
) -> tuple[Float[Array, "batch features width"], Bool[Array, "batch features"]]:
    """How every resampler begins: features projected, frames told apart, all in one row; and which are to be seen.

    The parameters (`input`, `time_embedding`) become those of `module`, in whose compact call this is called.
    """
    _, frames, positions, encoder_width = features.shape
    features = features.astype(module.dtype)
    if config.project_input:
        axes = ("visual_embed", "resampler_embed")
        features = Projection((config.width,), axes, dtype=module.dtype, name="input")(features)
    elif encoder_width != config.width:
        raise ValueError(
            f"the resampler is {config.width} wide and the vision encoder {encoder_width}: "
            "set project_input=True, or the same width"
        )
    if config.max_frames:
        init = nn.with_logical_partitioning(nn.initializers.normal(config.time_init_std), ("frames", "resampler_embed"))
        table = module.param("time_embedding", init, (config.max_frames, config.width))
        features = features + _frames(table, frames)[None, :, None].astype(module.dtype)
    return features.reshape(features.shape[0], -1, config.width), jnp.repeat(frame_mask, positions, axis=1)


def _frames(table: Float[Array, "trained width"], frames: int) -> Float[Array, "frames width"]:
    """Temporal embeddings of `frames` frames: the first ones, or all of them stretched linearly over more frames."""
    trained = table.shape[0]
    if frames <= trained:
        return table[:frames]
    places = np.linspace(0, trained - 1, frames)
    low = np.minimum(np.floor(places).astype(int), max(trained - 2, 0))
    share = jnp.asarray(places - low, table.dtype)[:, None]
    return table[low] * (1 - share) + table[np.minimum(low + 1, trained - 1)] * share
