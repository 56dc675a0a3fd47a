"""The Perceiver Resampler (Flamingo, section 2.1): any number of features in, a fixed few visual tokens out."""

import dataclasses

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from flamingo_jax.models.layers import LayerNorm
from flamingo_jax.models.resampler_layers import AttendingSizes, ResamplerLayer, flat_features, initial_latents


@dataclasses.dataclass(frozen=True)
class PerceiverResamplerConfig(AttendingSizes):
    """See `ResamplerSizes` and `AttendingSizes` for the other fields.

    Attributes:
      qk_norm: a layer norm over each head of queries and keys (IDEFICS).
    """

    qk_norm: bool = False

    def make(self, dtype: jnp.dtype, name: str | None = None) -> "PerceiverResampler":
        """The module."""
        return PerceiverResampler(self, dtype, name=name)


class PerceiverLayer(ResamplerLayer):
    """Latents attend to the features and to themselves, then pass through a dense branch; both are residual."""

    @nn.compact
    def __call__(
        self,
        latents: Float[Array, "batch latents width"],
        features: Float[Array, "batch features width"],
        mask: Bool[Array, "batch 1 1 keys"],
    ) -> tuple[Float[Array, "batch latents width"], None]:
        states = self.norm("latents_norm")(latents)
        sources = jnp.concatenate([self.norm("media_norm")(features), states], axis=1)
        latents = latents + self.attend(states, sources, mask, self.config.qk_norm)
        return latents + self.dense(latents), None


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
        features, seen = flat_features(self, features, frame_mask)
        latents = initial_latents(self, len(features))
        mask = jnp.pad(seen, ((0, 0), (0, config.num_latents)), constant_values=True)[:, None, None]
        latents, _ = PerceiverLayer.stacked(config, self.dtype, 2)(latents, features, mask)
        return LayerNorm(config.norm_eps, self.dtype, axis="resampler_embed", name="final_norm")(latents)
