"""NFNet F0 to F6: the convolutional encoder of the paper (F6, 3072 channels, 435M parameters).

Architecture: "High-Performance Large-Scale Image Recognition Without Normalization" (Brock et al., 2021) and its public
code (deepmind-research, `nfnets`). No layer normalizes its activations: weights are standardized, and constants keep
the variance in check. Stochastic depth and dropout belong to the pretraining of the encoder and are not here.

The equal blocks of a stage are scanned, with their parameters stacked: the program does not grow with depth.
"""

import dataclasses
import itertools
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt8

from flamingo_jax.models.layers import Projection, activation
from flamingo_jax.models.quantized import SCALES
from flamingo_jax.models.vision.convolution import convolution

# One over the standard deviation of the activation of a standard normal variable (`nonlinearities` in nfnets/base.py).
GAMMAS = {
    "gelu": 1.7015043497085571,
    "gelu_tanh": 1.7015043497085571,
    "relu": 1.7139588594436646,
    "silu": 1.7881293296813965,
}


@dataclasses.dataclass(frozen=True)
class NFNetConfig:
    """The default is F6 as DeepMind trained it; the variants differ in `depths` alone (see `VARIANTS`).

    Any image size works, odd ones too; every 32 x 32 pixels give one feature vector.

    Attributes:
      depths: blocks of each stage, (1, 2, 6, 3) times n + 1 for Fn.
      widths: channels of each stage.
      stem_widths: of the four 3 x 3 convolutions before the stages; the first and the last halve the resolution.
      bottleneck: width of a block's 3 x 3 convolutions over that of its stage, rounded down to whole groups.
      group_width: channels of one group of those.
      squeeze_ratio: hidden width of squeeze-and-excitation over that of the stage.
      final_ratio: width of the last 1 x 1 convolution, and so of the features, over that of the last stage.
      alpha: scale of what a block adds.
      activation: one of `GAMMAS`. DeepMind's GELU is the tanh approximation; timm's (`gelu`) is exact.
      variance_eps, variance_floor: a kernel of variance v and fan-in n is divided by
        `sqrt(max(n * (v + variance_eps), variance_floor))`. DeepMind: 0 and 1e-4; timm: 1e-5 and 0.
      pixel_mean, pixel_scale: normalization of pixels in 0..255, `(x - mean) / scale`: ImageNet's mean and deviation.
    """

    depths: tuple[int, ...] = (7, 14, 42, 21)
    widths: tuple[int, ...] = (256, 512, 1536, 1536)
    stem_widths: tuple[int, ...] = (16, 32, 64, 128)
    bottleneck: float = 0.5
    group_width: int = 128
    squeeze_ratio: float = 0.5
    final_ratio: float = 2.0
    alpha: float = 0.2
    activation: str = "gelu_tanh"
    variance_eps: float = 0.0
    variance_floor: float = 1e-4
    pixel_mean: tuple[float, float, float] = (123.675, 116.28, 103.53)
    pixel_scale: tuple[float, float, float] = (58.395, 57.12, 57.375)

    def __post_init__(self):
        if self.activation not in GAMMAS:
            raise ValueError(f"NFNetConfig.activation must be one of {', '.join(GAMMAS)}, got {self.activation!r}")
        if len(self.depths) != len(self.widths) or not all(depth > 0 for depth in self.depths):
            raise ValueError(
                f"NFNetConfig: depths {self.depths} must be positive, one for each of widths {self.widths}"
            )
        if len(self.stem_widths) != len(STEM_STRIDES):
            raise ValueError(f"NFNetConfig.stem_widths must be {len(STEM_STRIDES)} numbers, got {self.stem_widths}")
        for width in self.widths:
            if (bottleneck := _share(width, self.bottleneck)) < self.group_width:
                raise ValueError(
                    f"NFNetConfig: a stage {width} wide has bottlenecks of {bottleneck} channels, "
                    f"less than one group of {self.group_width}; widen it or narrow group_width"
                )

    @property
    def output_width(self) -> int:
        return _share(self.widths[-1], self.final_ratio)

    @property
    def blocks(self) -> tuple["BlockConfig", ...]:
        """What each block is given, in order.

        The variance of the signal grows by alpha**2 a block, and the first block of a stage, whose shortcut starts from
        the normalized signal, sets it back to 1: each block divides by the deviation that it expects.
        """
        blocks, inputs, variance = [], self.stem_widths[-1], 1.0
        for stage, (width, depth) in enumerate(zip(self.widths, self.depths, strict=True)):
            bottleneck = _share(width, self.bottleneck) // self.group_width * self.group_width
            for index in range(depth):
                stride = 2 if index == 0 and stage > 0 else 1
                blocks.append(BlockConfig(width, bottleneck, stride, stride > 1 or inputs != width, variance**-0.5))
                inputs, variance = width, (1.0 if index == 0 else variance) + self.alpha**2
        return tuple(blocks)

    @property
    def runs(self) -> dict[str, tuple["BlockConfig", ...]]:
        """The blocks again, in order, by the name of the module that holds them.

        One by itself is `block_7`. Those after one another that keep the signal's shape, and so differ in `beta` alone,
        are `blocks_8_to_20`.
        """
        runs, start = {}, 0
        for transition, stage in itertools.groupby(self.blocks, lambda block: block.transition):
            stage = list(stage)
            for run in [[block] for block in stage] if transition else [stage]:
                end = start + len(run)
                runs[f"block_{start}" if len(run) == 1 else f"blocks_{start}_to_{end - 1}"] = tuple(run)
                start = end
        return runs

    def make(self, dtype: jnp.dtype, name: str | None = None) -> "NFNet":
        """The module."""
        return NFNet(self, dtype, name=name)


def _share(width: int, ratio: float) -> int:
    """`width * ratio` rounded down, where 49 * (1 / 49) is 1."""
    return int(width * ratio + 1e-6)


@dataclasses.dataclass(frozen=True)
class BlockConfig:
    """One block, as `NFNetConfig.blocks` derives it.

    Attributes:
      width, bottleneck: channels of its output and of its 3 x 3 convolutions.
      stride: of the first of those, and of the shortcut.
      transition: the shortcut is a 1 x 1 convolution, as it must where resolution or width change.
      beta: factor on the activated input.
    """

    width: int
    bottleneck: int
    stride: int
    transition: bool
    beta: float


STEM_STRIDES = (2, 1, 1, 2)
VARIANTS = {f"F{n}": NFNetConfig(depths=tuple((n + 1) * depth for depth in (1, 2, 6, 3))) for n in range(7)}


class ScaledConvolution(nn.Module):
    """A convolution with bias; its kernel is standardized over the inputs, in float32, and scaled by a learned gain."""

    width: int
    kernel: int
    config: NFNetConfig
    stride: int = 1
    groups: int = 1
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch height width channels"]
    ) -> Float[Array, "batch height2 width2 channels2"]:
        init = nn.with_logical_partitioning(nn.initializers.lecun_normal(), (None, None, "conv_in", "conv_out"))
        kernel = self.param("kernel", init, (self.kernel, self.kernel, x.shape[-1] // self.groups, self.width))
        init = nn.with_logical_partitioning(nn.initializers.ones, ("conv_out",))
        gain = self.param("gain", init, (self.width,), jnp.float32)
        init = nn.with_logical_partitioning(nn.initializers.zeros, ("conv_out",))
        bias = self.param("bias", init, (self.width,), jnp.float32)
        kernel = _standardize(kernel.astype(jnp.float32), gain.astype(jnp.float32), self.config)
        y = convolution(x.astype(self.dtype), kernel.astype(self.dtype), self.stride, self.groups)
        return y + bias.astype(self.dtype)


def _standardize(
    kernel: Float[Array, "h w inputs outputs"], gain: Float[Array, " outputs"], config: NFNetConfig
) -> Array:
    inputs = (0, 1, 2)
    fan_in = kernel[..., 0].size
    centred = kernel - jnp.mean(kernel, axis=inputs)
    variance = jnp.mean(jnp.square(centred), axis=inputs)
    squared = jnp.maximum(fan_in * (variance + config.variance_eps), config.variance_floor)
    return centred * (gain * jax.lax.rsqrt(squared))


class NFBlock(nn.Module):
    """A pre-activation bottleneck: 1 x 1, two grouped 3 x 3, 1 x 1, squeeze-and-excitation, and a learned skip gain.

    `beta` is an argument, whatever the config has: a scan over blocks gives each its own.
    """

    block: BlockConfig
    config: NFNetConfig
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch height width channels"], beta: Float[Array, ""]
    ) -> tuple[Float[Array, "batch height2 width2 channels2"], None]:
        block, config = self.block, self.config
        options = {"config": config, "dtype": self.dtype}
        groups = block.bottleneck // config.group_width
        activate = scaled_activation(config)
        inputs = activate(x) * beta.astype(self.dtype)
        shortcut = x
        if block.transition:
            shortcut = inputs if block.stride == 1 else _halve(inputs)
            shortcut = ScaledConvolution(block.width, 1, name="shortcut", **options)(shortcut)
        y = ScaledConvolution(block.bottleneck, 1, name="reduce", **options)(inputs)
        for index, stride in enumerate((block.stride, 1)):
            name = f"grouped_{index}"
            y = ScaledConvolution(block.bottleneck, 3, stride=stride, groups=groups, name=name, **options)(activate(y))
        y = ScaledConvolution(block.width, 1, name="expand", **options)(activate(y))
        y *= 2 * self._excitation(y)[:, None, None]  # sigmoids are about a half
        gain = self.param("skip_gain", nn.with_logical_partitioning(nn.initializers.zeros, ()), (), jnp.float32)
        return y * (gain.astype(jnp.float32) * config.alpha).astype(self.dtype) + shortcut, None

    def _excitation(self, y: Float[Array, "batch height width channels"]) -> Float[Array, "batch channels"]:
        """Squeeze-and-excitation (Hu et al., 2018): a gate for each channel from the channels' means."""

        def dense(width: int, name: str) -> Projection:
            return Projection((width,), ("conv_in", "conv_out"), dtype=self.dtype, use_bias=True, name=name)

        hidden = max(1, _share(self.block.width, self.config.squeeze_ratio))
        hidden = jax.nn.relu(dense(hidden, "squeeze")(jnp.mean(y, axis=(1, 2))))
        return jax.nn.sigmoid(dense(self.block.width, "excite")(hidden))


def scaled_activation(config: NFNetConfig) -> Callable[[Array], Array]:
    """The activation times its gamma, which keeps the variance of a standard normal input."""
    function, gamma = activation(config.activation), GAMMAS[config.activation]
    return lambda x: function(x) * gamma


def _halve(x: Float[Array, "batch height width channels"]) -> Float[Array, "batch height2 width2 channels"]:
    """Means of 2 x 2 pixels; of fewer at the lower and right edges of odd sizes."""
    return nn.avg_pool(x, (2, 2), (2, 2), "SAME", count_include_pad=False)


def _scan(length: int) -> Any:
    """`NFBlock` stacked `length` times: its parameters and `beta` get a leading axis.

    By XLA's estimate (F6, 24 images of 320 pixels, TPU v5p) the scan costs 11% of the encoder's time, as the signal
    goes to memory after each block; its program is a ninth in size, and compiles in a quarter of the time.
    """
    return nn.scan(
        NFBlock,
        variable_axes={"params": 0, SCALES: 0},
        split_rngs={"params": True},
        in_axes=0,
        length=length,
        metadata_params={nn.PARTITION_NAME: "layers"},
    )


class NFNet(nn.Module):
    """Images in, one feature vector for each 32 x 32 pixels out: the last convolution, activated."""

    config: NFNetConfig
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, images: UInt8[Array, "batch height width 3"]) -> Float[Array, "batch positions channels"]:
        config, activate = self.config, scaled_activation(self.config)
        options = {"config": config, "dtype": self.dtype}
        x = (images.astype(jnp.float32) - jnp.asarray(config.pixel_mean)) / jnp.asarray(config.pixel_scale)
        x = x.astype(self.dtype)
        for index, (width, stride) in enumerate(zip(config.stem_widths, STEM_STRIDES, strict=True)):
            x = activate(x) if index else x
            x = ScaledConvolution(width, 3, stride=stride, name=f"stem_{index}", **options)(x)
        for name, run in config.runs.items():
            betas = np.asarray([block.beta for block in run], np.float32)
            if len(run) == 1:
                x, _ = NFBlock(run[0], name=name, **options)(x, betas[0])
            else:
                x, _ = _scan(len(run))(run[0], name=name, **options)(x, betas)
        x = activate(ScaledConvolution(config.output_width, 1, name="final", **options)(x))
        return x.reshape(x.shape[0], -1, x.shape[-1])
