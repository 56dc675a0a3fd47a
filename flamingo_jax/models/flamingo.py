"""Flamingo: a vision encoder, the Perceiver Resampler, and a decoder with gated cross-attention blocks."""

import dataclasses
from typing import Protocol

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, UInt8

from flamingo_jax.models.attention_kernels import KERNELS
from flamingo_jax.models.gated_cross_attention import GatedCrossAttentionConfig
from flamingo_jax.models.language.decoder import Decoder
from flamingo_jax.models.language.decoder_config import DecoderConfig
from flamingo_jax.models.language.layer import Cache, Context
from flamingo_jax.models.language.plan import LayerPlan
from flamingo_jax.models.layers import Projection
from flamingo_jax.models.masks import causal_mask, image_causal_mask
from flamingo_jax.models.remat import POLICIES
from flamingo_jax.models.sharding import constrain


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
      remat: which activations the language model's layers and blocks keep for the backward pass, see `models.remat`.
      attention: the kernel of the language model's layers and blocks: "xla", or "cudnn", "flash" or "splash", which
        `models.attention_kernels` describes. The vision encoder and the resampler use XLA's.
      unroll: write the layers that a block serves one after another into the program, and not as a loop within the
        loop over the blocks: the inner loop's weights are copied out of the outer one's before each use (on TPUs a
        fifth of an 80B step, docs/sharding.md). Programs and compile times grow with `cross_attention_every`.
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
    remat: str = "none"
    attention: str = "xla"
    unroll: bool = False

    def __post_init__(self):
        self._check_attention()
        if self.remat not in POLICIES:
            known = ", ".join(map(repr, POLICIES))
            raise ValueError(f"FlamingoConfig.remat must be one of {known}, got {self.remat!r}")
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

    def _check_attention(self) -> None:
        """Refuses a kernel that could not do a single layer of the language model."""
        if self.attention not in KERNELS:
            known = ", ".join(map(repr, KERNELS))
            raise ValueError(f"FlamingoConfig.attention must be one of {known}, got {self.attention!r}")
        reason = ""
        if self.attention == "cudnn" and jnp.dtype(self.dtype).itemsize > 2:
            reason = f"computes in 16 bits, and FlamingoConfig.dtype is {self.dtype!r}: set 'bfloat16'"
        elif self.attention in ("cudnn", "flash") and self.language.attention_softcap:
            reason = "cannot cap scores (DecoderConfig.attention_softcap): set 'splash' on TPUs, else 'xla'"
        elif self.attention == "splash" and self.language.positions in ("alibi", "relative"):
            positions = self.language.positions
            reason = f"cannot add to scores, as DecoderConfig.positions = {positions!r} does: set 'flash'"
        if reason:
            raise ValueError(f"FlamingoConfig.attention = {self.attention!r} {reason}")

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
            config.language,
            config.plan,
            config.cross_attention,
            config.num_new_tokens,
            config.new_rows_init_std,
            dtype,
            config.remat,
            config.attention,
            config.unroll,
        )

    def encode_pixels(
        self, pixels: UInt8[Array, "count height width 3"]
    ) -> Float[Array, "count positions encoder_width"]:
        """What the vision encoder makes of some images or frames."""
        features = self.vision_encoder(constrain(pixels, "image_batch", None, None, None))
        return constrain(features, "image_batch", None, None)

    def encode_images(
        self,
        images: UInt8[Array, "batch images frames height width 3"],
        frame_mask: Bool[Array, "batch images frames"],
        features: Float[Array, "batch images frames positions encoder_width"] | None = None,
    ) -> Float[Array, "batch keys visual_width"]:
        """Visual tokens of each row's images, image by image: `keys` is `images * num_latents`.

        Rows of no images have no keys: neither encoder nor resampler runs, and cross-attention adds exactly 0. With the
        `features` of the images given, as `encode_pixels` makes them, the encoder does not run either.
        """
        config, (batch, count, frames) = self.config, frame_mask.shape
        if not count:
            width = config.language.width if config.project_visual else config.resampler.width
            return jnp.zeros((batch, 0, width), config.dtype)
        if features is None:
            features = self.encode_pixels(images.reshape(batch * count * frames, *images.shape[3:]))
        features = features.reshape(batch * count, frames, *features.shape[-2:])
        features = constrain(features, "image_batch", None, None, None)
        visual = self.resampler(features, frame_mask.reshape(batch * count, frames))
        if config.project_visual:
            visual = self.visual_projection(constrain(visual, "image_batch", None, None))
        visual = constrain(visual, "image_batch", None, None)
        visual = visual.reshape(batch, count * visual.shape[1], visual.shape[2])
        return constrain(visual, "batch", None, None)

    def __call__(
        self,
        tokens: Int[Array, "batch length"],
        segment_ids: Int[Array, "batch length"],
        positions: Int[Array, "batch length"],
        image_index: Int[Array, "batch length"],
        images: UInt8[Array, "batch images frames height width 3"] | None,
        frame_mask: Bool[Array, "batch images frames"] | None,
        image_first: Int[Array, "batch length"] | None = None,
        features: Float[Array, "batch images frames positions encoder_width"] | None = None,
        media: Float[Array, "batch keys visual_width"] | None = None,
        loss_chunk: int | None = None,
    ) -> Float[Array, "batch length vocab"] | Float[Array, "batch length"]:
        """Logits of the next token at each position. `image_index` and `image_first` as in `image_causal_mask`.

        `features`, or `media`, the visual tokens that `encode_images` gives, stand for the images.
        With `loss_chunk` the loss of each token instead, from the logits of so many positions at a time (0: all), see
        `losses.token_losses`.
        """
        if media is None:
            media = self.encode_images(images, frame_mask, features)
        num_latents = self.config.resampler.num_latents
        media_mask = image_causal_mask(image_index, media.shape[1] // num_latents, num_latents, image_first)
        context = Context(positions, causal_mask(segment_ids), 0, media, media_mask)
        return self.language_model(tokens, context, loss_chunk=loss_chunk)[0]

    def decode(
        self,
        tokens: Int[Array, "batch length"],
        context: Context,
        cache: Cache,
        last_only: bool = True,
        loss_chunk: int | None = None,
    ) -> tuple[Float[Array, "batch length vocab"] | Float[Array, "batch length"], Cache | None]:
        """Logits of tokens that go into `cache` from `context.slot` on, and what they have written of the cache.

        With `loss_chunk` the loss of each token instead, as in `__call__`, and no cache.
        """
        return self.language_model(tokens, context, cache, last_only, loss_chunk)
