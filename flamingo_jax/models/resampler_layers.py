"""What the Perceiver Resampler and its alternatives share: sizes, the way features come in, and branches of layers."""

import dataclasses

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from flamingo_jax.models.attention import attention
from flamingo_jax.models.layers import LayerNorm, Projection, activation
from flamingo_jax.models.quantized import SCALES


@dataclasses.dataclass(frozen=True)
class ResamplerSizes:
    """The defaults are the paper's, the same for its three models; the remarks say where OpenFlamingo differs.

    Attributes:
      width: of the latents and of the visual tokens (OpenFlamingo: that of the vision encoder).
      num_latents: visual tokens per image or clip.
      num_layers: of all branches that a layer has.
      hidden_multiplier: width of the dense branch over `width`.
      activation: of the dense branch (OpenFlamingo: gelu; IDEFICS: relu).
      max_frames: learned temporal embeddings, one a frame; 0 for none (OpenFlamingo's releases). More frames than that
        get linearly interpolated embeddings (the paper: 8 in training, 30 at inference).
      project_input: a linear map from the encoder's width to `width` (3072 to 1536 in the paper; OpenFlamingo: none).
      time_init_std: initial standard deviation of the temporal embeddings (not stated in the paper).
      norm_eps: of the layer norms.
    """

    width: int = 1536
    num_latents: int = 64
    num_layers: int = 6
    hidden_multiplier: int = 4
    activation: str = "squared_relu"
    max_frames: int = 8
    project_input: bool = True
    time_init_std: float = 0.02
    norm_eps: float = 1e-5

    def __post_init__(self):
        activation(self.activation)


@dataclasses.dataclass(frozen=True)
class AttendingSizes(ResamplerSizes):
    """Sizes of layers that attend.

    Attributes:
      num_heads, head_dim: 16 x 128 gives the paper's 194M parameters (OpenFlamingo: 8 x 64).
      latents_init_std: initial standard deviation of the latents (not stated in the paper; OpenFlamingo draws them with
        1, which leaves the visual tokens of different images nearly equal at the start).
    """

    num_heads: int = 16
    head_dim: int = 128
    latents_init_std: float = 0.02


class ResamplerLayer(nn.Module):
    """The branches that layers are made of; a subclass says how they follow one another."""

    config: ResamplerSizes
    dtype: jnp.dtype = jnp.float32

    @classmethod
    def stacked(cls, config: ResamplerSizes, dtype: jnp.dtype, constants: int) -> nn.Module:
        """`config.num_layers` of this layer, which all get the same `constants` further arguments.

        Their parameters stand under `layers`, stacked on a leading axis.
        """
        layers = nn.scan(
            cls,
            variable_axes={"params": 0, SCALES: 0},
            split_rngs={"params": True},
            in_axes=(nn.broadcast,) * constants,
            length=config.num_layers,
            metadata_params={nn.PARTITION_NAME: "layers"},
        )
        return layers(config, dtype, name="layers")

    def norm(self, name: str, axis: str = "resampler_embed") -> LayerNorm:
        """A layer norm."""
        return LayerNorm(self.config.norm_eps, self.dtype, axis=axis, name=name)

    def attend(
        self,
        queries: Float[Array, "batch queries width"],
        sources: Float[Array, "batch keys width"],
        mask: Bool[Array, "batch 1 1 keys"],
        qk_norm: bool = False,
    ) -> Float[Array, "batch queries width"]:
        """Multi-head attention of normed states; `qk_norm` is a layer norm over each head of queries and keys."""
        heads, axes = (self.config.num_heads, self.config.head_dim), ("resampler_embed", "resampler_heads", "head_dim")
        query = self._project(heads, axes, "query")(queries)
        key, value = (self._project(heads, axes, name)(sources) for name in ("key", "value"))
        if qk_norm:
            query = self.norm("query_head_norm", "head_dim")(query)
            key = self.norm("key_head_norm", "head_dim")(key)
        output = self._project(
            (queries.shape[-1],), ("resampler_heads", "head_dim", "resampler_embed"), "output", contracted=2
        )
        return output(attention(query, key, value, mask))

    def dense(self, x: Float[Array, "batch length width"]) -> Float[Array, "batch length width"]:
        """The dense branch, its norm included."""
        width = x.shape[-1]
        states = self.norm("dense_norm")(x)
        hidden = (width * self.config.hidden_multiplier,)
        states = self._project(hidden, ("resampler_embed", "resampler_mlp"), "dense_in")(states)
        states = activation(self.config.activation)(states)
        return self._project((width,), ("resampler_mlp", "resampler_embed"), "dense_out")(states)

    def _project(self, features, axes, name, **options) -> Projection:
        return Projection(features, axes, dtype=self.dtype, name=name, **options)


def flat_features(
    module: nn.Module,
    features: Float[Array, "batch frames positions encoder_width"],
    frame_mask: Bool[Array, "batch frames"],
) -> tuple[Float[Array, "batch features width"], Bool[Array, "batch features"]]:
    """How every resampler begins: features projected, frames told apart, all in one row; and which are to be seen.

    The parameters (`input`, `time_embedding`) become those of `module`, in whose compact call this is called.

    Raises:
      ValueError: the encoder's width is not `width` and `project_input` is off.
    """
    config = module.config
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


def initial_latents(module: nn.Module, batch: int) -> Float[Array, "batch latents width"]:
    """The learned latents (`latents`, a parameter of `module`), the same for each image."""
    config = module.config
    init = nn.with_logical_partitioning(nn.initializers.normal(config.latents_init_std), ("latents", "resampler_embed"))
    table = module.param("latents", init, (config.num_latents, config.width))
    return jnp.broadcast_to(table.astype(module.dtype), (batch, *table.shape))


def _frames(table: Float[Array, "trained width"], frames: int) -> Float[Array, "frames width"]:
    """Temporal embeddings of `frames` frames: the first ones, or all of them stretched linearly over more frames."""
    trained = table.shape[0]
    if frames <= trained:
        return table[:frames]
    places = np.linspace(0, trained - 1, frames)
    low = np.minimum(np.floor(places).astype(int), max(trained - 2, 0))
    share = jnp.asarray(places - low, table.dtype)[:, None]
    return table[low] * (1 - share) + table[np.minimum(low + 1, trained - 1)] * share
