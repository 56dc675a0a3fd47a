"""Flamingo: a vision encoder, the Perceiver Resampler, and a decoder with gated cross-attention blocks."""

import dataclasses
from typing import Protocol

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, UInt8

from flamingo_jax.models.attention import causal_mask, image_causal_mask
from flamingo_jax.models.gated_cross_attention import GatedCrossAttentionConfig
from flamingo_jax.models.language.decoder import Decoder
from flamingo_jax.models.language.decoder_config import DecoderConfig
from flamingo_jax.models.language.layer import Cache, Context
from flamingo_jax.models.language.plan import LayerPlan
from flamingo_jax.models.layers import Projection


class VisionConfig(Protocol):
    """The config of any encoder of `models/vision`: its module maps `[batch, height, width, 3]` bytes to features."""

    output_width: int

    def make(self, dtype: jnp.dtype, name: str | None = None) -> nn.Module:
        """The module: images in, `[batch, positions, output_width]` out."""


class ResamplerConfig(Protocol):
    """The config of a resampler: its module maps features and a frame mask to `num_latents` visual tokens."""

    width: int
    num_latents: int

    def make(self, dtype: jnp.dtype, name: str | None = None) -> nn.Module:
        """The module: `[batch, frames, positions, width of the encoder]` in, `[batch, num_latents, width]` out."""


@dataclasses.dataclass(frozen=True)
class FlamingoConfig:
    """The whole model. Defaults are the paper's; the remarks say where OpenFlamingo differs.

    Attributes:
      language, vision, resampler, cross_attention: the parts.
      cross_attention_every: a block before every k-th layer of the language model (3B: 1, 9B: 4, 80B: 7).
        0: none between its layers.
      cross_attention_first: the first layer with a block before it (OpenFlamingo: k - 1).
      grafted_layers: new decoder layers, each after a block of its own, on top of the language model (the paper's
        grafting ablation; with `cross_attention_every` 0).
      project_visual: one linear map, shared by all blocks, from the resampler's width to the language model's, as the
        paper's parameter counts imply (OpenFlamingo: none, each block reads the visual width).
      num_new_tokens: tokens after the pretrained vocabulary: `<EOC>` (OpenFlamingo: 3, with `<image>` and `<PAD>`).
      end_of_chunk: which of them is `<EOC>`, from 0; -1: none, the end of a sequence serves (IDEFICS).
      image_tokens: which of them, in this order, stand for an image; empty for the plain text `<image>` of the paper
        (OpenFlamingo: (1,); IDEFICS: (0, 1, 0)).
      new_rows_init_std: initial standard deviation of their embeddings (not stated in the paper).
      dtype: what it computes in, "float32" or "bfloat16"; norms, softmax and logits are float32 in any case.
    """

    language: DecoderConfig
    vision: VisionConfig
    resampler: ResamplerConfig
    cross_attention: GatedCrossAttentionConfig
    cross_attention_every: int = 1
    cross_attention_first: int = 0
    grafted_layers: int = 0
    project_visual: bool = True
    num_new_tokens: int = 1
    end_of_chunk: int = 0
    image_tokens: tuple[int, ...] = ()
    new_rows_init_std: float = 0.02
    dtype: str = "float32"

    def __post_init__(self):
        _ = self.plan  # refuses a placement that the language model has no layers for
        if not -1 <= self.end_of_chunk < self.num_new_tokens:
            raise ValueError(
                f"FlamingoConfig.end_of_chunk is {self.end_of_chunk}; it is -1, or one of the new tokens, "
                f"0 to {self.num_new_tokens - 1}"
            )
        if any(not 0 <= token < self.num_new_tokens for token in self.image_tokens):
            raise ValueError(
                f"FlamingoConfig.image_tokens is {self.image_tokens}; the new tokens are 0 to {self.num_new_tokens - 1}"
            )

    @property
    def plan(self) -> LayerPlan:
        """Where the gated cross-attention blocks stand."""
        every, first = self.cross_attention_every, self.cross_attention_first
        return LayerPlan.make(self.language.num_layers, every, first, self.grafted_layers)


class Flamingo(nn.Module):
    """p(text | the images before it), for a batch of rows of text that each hold some images."""

    config: FlamingoConfig

    def setup(self):
        config, dtype = self.config, jnp.dtype(self.config.dtype)
        self.vision_encoder = config.vision.make(dtype)
        self.resampler = config.resampler.make(dtype)
        if config.project_visual:
            self.visual_projection = Projection(
                (config.language.width,), ("resampler_embed", "visual_embed"), dtype=dtype
            )
        self.language_model = Decoder(
            config.language, config.plan, config.cross_attention, config.num_new_tokens, config.new_rows_init_std, dtype
        )

    def encode_images(
        self, images: UInt8[Array, "batch images frames height width 3"], frame_mask: Bool[Array, "batch images frames"]
    ) -> Float[Array, "batch keys visual_width"]:
        """Visual tokens of each row's images, image by image: `keys` is `images * num_latents`.

        Rows of no images have no keys: neither encoder nor resampler runs, and cross-attention adds exactly 0.
        """
        config, (batch, count, frames) = self.config, images.shape[:3]
        if not count:
            width = config.language.width if config.project_visual else config.resampler.width
            return jnp.zeros((batch, 0, width), config.dtype)
        pixels = images.reshape(batch * count * frames, *images.shape[3:])
        pixels = nn.with_logical_constraint(pixels, ("image_batch", None, None, None))
        features = self.vision_encoder(pixels)
        features = features.reshape(batch * count, frames, *features.shape[1:])
        features = nn.with_logical_constraint(features, ("image_batch", None, None, None))
        visual = self.resampler(features, frame_mask.reshape(batch * count, frames))
        if config.project_visual:
            visual = self.visual_projection(visual)
        visual = visual.reshape(batch, count * visual.shape[1], visual.shape[2])
        return nn.with_logical_constraint(visual, ("batch", None, None))

    def __call__(
        self,
        tokens: Int[Array, "batch length"],
        segment_ids: Int[Array, "batch length"],
        positions: Int[Array, "batch length"],
        image_index: Int[Array, "batch length"],
        images: UInt8[Array, "batch images frames height width 3"],
        frame_mask: Bool[Array, "batch images frames"],
        image_first: Int[Array, "batch length"] | None = None,
    ) -> Float[Array, "batch length vocab"]:
        """Logits of the next token at each position. `image_index` and `image_first` as in `image_causal_mask`."""
        media = self.encode_images(images, frame_mask)
        num_images = images.shape[1]
        media_mask = image_causal_mask(image_index, num_images, self.config.resampler.num_latents, image_first)
        context = Context(positions, causal_mask(segment_ids), 0, media, media_mask)
        return self.language_model(tokens, context)[0]

    def decode(
        self,
        tokens: Int[Array, "batch length"],
        context: Context,
        cache: Cache,
        last_only: bool = True,
    ) -> tuple[Float[Array, "batch length vocab"], Cache]:
        """Logits of tokens that go into `cache` from `context.slot` on, and the cache with them in it."""
        return self.language_model(tokens, context, cache, last_only)
