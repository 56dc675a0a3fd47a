"""EfficientNet-lite: the convolutional encoder of the embedded default (Apache-2.0 weights pretrained on ImageNet).

Architecture: EfficientNet (Tan and Le, 2019) without squeeze-and-excitation and with ReLU6, "SAME" padding.
"""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, UInt8

from flamingo_jax.models.quantized import scale_of
from flamingo_jax.models.vision.convolution import convolution, depthwise


@dataclasses.dataclass(frozen=True)
class BlockGroup:
    """`repeats` inverted bottlenecks; the first one strides and changes the width."""

    repeats: int
    kernel: int
    stride: int
    expand: int
    width: int


LITE0_GROUPS = (
    BlockGroup(1, 3, 1, 1, 16),
    BlockGroup(2, 3, 2, 6, 24),
    BlockGroup(2, 5, 2, 6, 40),
    BlockGroup(3, 3, 2, 6, 80),
    BlockGroup(3, 5, 1, 6, 112),
    BlockGroup(4, 5, 2, 6, 192),
    BlockGroup(1, 3, 1, 6, 320),
)


@dataclasses.dataclass(frozen=True)
class EfficientNetLiteConfig:
    """The default is lite0: 224 pixels give 7 x 7 features of 1280 channels.

    Attributes:
      stem_width, groups, head_width: the network.
      norm_eps: of the batch norms (TensorFlow's 1e-3).
      pixel_mean, pixel_scale: normalization of pixels in 0..255, `(x - mean) / scale`.
    """

    stem_width: int = 32
    groups: tuple[BlockGroup, ...] = LITE0_GROUPS
    head_width: int = 1280
    norm_eps: float = 1e-3
    pixel_mean: float = 127.0
    pixel_scale: float = 128.0

    @property
    def output_width(self) -> int:
        return self.head_width

    def make(self, dtype: jnp.dtype, name: str | None = None) -> "EfficientNetLite":
        return EfficientNetLite(self, dtype, name=name)


class ConvNorm(nn.Module):
    """A convolution without bias and a batch norm with fixed statistics, which are parameters like any other."""

    width: int
    kernel: int
    config: EfficientNetLiteConfig
    stride: int = 1
    depthwise: bool = False
    activate: bool = True
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "batch height width channels"]):
        kernel = self.param(
            "kernel",
            nn.with_logical_partitioning(nn.initializers.he_normal(), (None, None, "conv_in", "conv_out")),
            (self.kernel, self.kernel, 1 if self.depthwise else x.shape[-1], self.width),
        )
        stored = scale_of(self, "kernel", kernel.shape, (None, None, "conv_in", "conv_out"), summed=(0, 1, 2))
        convolve = depthwise if self.depthwise else convolution
        x = convolve(x, kernel.astype(self.dtype), self.stride)
        if stored is not None:
            x = (x.astype(jnp.float32) * stored.reshape(-1)).astype(self.dtype)
        ones, zeros = nn.initializers.ones, nn.initializers.zeros
        inits = {"scale": ones, "bias": zeros, "mean": zeros, "variance": ones}
        scale, bias, mean, variance = (
            self.param(name, nn.with_logical_partitioning(init, ("conv_out",)), (self.width,), jnp.float32).astype(
                jnp.float32
            )
            for name, init in inits.items()
        )
        factor = scale * jax.lax.rsqrt(variance + self.config.norm_eps)
        x = x * factor.astype(self.dtype) + (bias - mean * factor).astype(self.dtype)
        return jnp.clip(x, 0, 6) if self.activate else x


class InvertedBottleneck(nn.Module):
    """Expand 1x1, depthwise, project 1x1; with a skip where shapes allow."""

    group: BlockGroup
    stride: int
    config: EfficientNetLiteConfig
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "batch height width channels"]):
        group, inputs = self.group, x
        options = {"config": self.config, "dtype": self.dtype}
        expanded = x.shape[-1] * group.expand
        if group.expand != 1:
            x = ConvNorm(expanded, 1, name="expand", **options)(x)
        x = ConvNorm(expanded, group.kernel, stride=self.stride, depthwise=True, name="depthwise", **options)(x)
        x = ConvNorm(group.width, 1, activate=False, name="project", **options)(x)
        return x + inputs if x.shape == inputs.shape else x


class EfficientNetLite(nn.Module):
    """Images in, one feature vector for each 32 x 32 pixels out."""

    config: EfficientNetLiteConfig
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, images: UInt8[Array, "batch height width 3"]) -> Float[Array, "batch positions channels"]:
        config = self.config
        x = (images.astype(jnp.float32) - config.pixel_mean) / config.pixel_scale
        options = {"config": config, "dtype": self.dtype}
        x = ConvNorm(config.stem_width, 3, stride=2, name="stem", **options)(x.astype(self.dtype))
        index = 0
        for group in config.groups:
            for repeat in range(group.repeats):
                stride = group.stride if repeat == 0 else 1
                x = InvertedBottleneck(group, stride, name=f"block_{index}", **options)(x)
                index += 1
        x = ConvNorm(config.head_width, 1, name="head", **options)(x)
        return x.reshape(x.shape[0], -1, x.shape[-1])
