"""The Vision Transformer (Dosovitskiy et al., 2020) as CLIP, SigLIP, SigLIP2 and DINOv2 train it: one module."""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, UInt8

from flamingo_jax.models.layers import LayerNorm, Projection, activation
from flamingo_jax.models.quantized import SCALES
from flamingo_jax.models.sharding import image_states
from flamingo_jax.models.vision.interpolation import INTERPOLATIONS, resize_grid

OUTPUTS = ("patches", "all")

Pixels = tuple[float, float, float]
# Means and standard deviations of red, green and blue on 0..255 that the published weights were trained with, 255 times
# those of the peers' preprocessors: OpenAI's also for OpenCLIP, ImageNet's for DINOv2; SigLIP maps 0..255 to -1..1.
OPENAI_MEAN, OPENAI_SCALE = (122.7709383, 116.7460125, 104.09373615), (68.5005327, 66.6321579, 70.32316305)
IMAGENET_MEAN, IMAGENET_SCALE = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
SIGLIP_MEAN, SIGLIP_SCALE = (127.5, 127.5, 127.5), (127.5, 127.5, 127.5)


@dataclasses.dataclass(frozen=True)
class ViTConfig:
    """A pre-norm encoder of patches. The defaults are OpenAI's CLIP ViT-L/14; the remarks say which families differ.

    Attributes:
      patch_size, width, num_layers, num_heads, hidden_width: sizes, a patch's in pixels.
      image_size: pixels a side at which the position table was trained: it has `(image_size // patch_size) ** 2` rows.
        Images of any other size get an interpolated table.
      activation: "quick_gelu" (OpenAI's CLIP), "gelu" (OpenCLIP, DINOv2), "gelu_tanh" (SigLIP), "silu" (gated).
      class_token: a learned token before the patches (SigLIP: none).
      class_position: the position table begins with a row for the class token (timm's DINOv2 with registers: not).
      num_registers: learned tokens without position between the class token and the patches (DINOv2 with registers: 4).
      pre_norm: a norm between the embeddings and the first layer (CLIP alone).
      post_norm: a norm after the last layer (SigLIP and DINOv2; Flamingo takes CLIP's features without it, as
        OpenFlamingo and IDEFICS were trained).
      layer_scale: a factor a channel on each branch (DINOv2).
      patch_bias: a bias in the patch embedding (SigLIP and DINOv2).
      gated_dense: `down(act(gate(x)) * up(x))`, otherwise `down(act(up(x)))` (DINOv2 giant).
      norm_eps: of all norms (SigLIP and DINOv2: 1e-6).
      output: "patches": the features of the patches alone, row by row; "all": of the class token and the registers too,
        in front of them (IDEFICS).
      interpolation: of the position table. "bicubic": as transformers does for CLIP, SigLIP and DINOv2;
        "bicubic_antialias": as timm and OpenCLIP, and transformers for DINOv2 with registers; "bilinear_antialias": as
        SigLIP2's NaFlex.
      pixel_mean, pixel_scale: normalization of red, green and blue in 0..255, `(x - mean) / scale`.
    """

    patch_size: int = 14
    width: int = 1024
    num_layers: int = 24
    num_heads: int = 16
    hidden_width: int = 4096
    image_size: int = 224
    activation: str = "quick_gelu"
    class_token: bool = True
    class_position: bool = True
    num_registers: int = 0
    pre_norm: bool = True
    post_norm: bool = False
    layer_scale: bool = False
    patch_bias: bool = False
    gated_dense: bool = False
    norm_eps: float = 1e-5
    output: str = "patches"
    interpolation: str = "bicubic"
    pixel_mean: Pixels = OPENAI_MEAN
    pixel_scale: Pixels = OPENAI_SCALE

    def __post_init__(self):
        activation(self.activation)
        for name, known in (("output", OUTPUTS), ("interpolation", INTERPOLATIONS)):
            if getattr(self, name) not in known:
                listed = ", ".join(map(repr, known))
                raise ValueError(f"ViTConfig.{name} must be one of {listed}, got {getattr(self, name)!r}")
        if self.width % self.num_heads:
            raise ValueError(f"ViTConfig: a width of {self.width} does not divide into {self.num_heads} heads")
        if self.image_size < self.patch_size:
            raise ValueError(f"ViTConfig: images of {self.image_size} pixels hold no patch of {self.patch_size}")
        if self.class_position and not self.class_token:
            raise ValueError("ViTConfig: class_position needs a class_token; without one (SigLIP) set both to False")

    @property
    def output_width(self) -> int:
        """Channels of the features."""
        return self.width

    @property
    def grid(self) -> int:
        """Patches a side at the trained resolution."""
        return self.image_size // self.patch_size

    def make(self, dtype: jnp.dtype, name: str | None = None) -> "ViT":
        """The module, computing in `dtype`."""
        return ViT(self, dtype, name=name)


class ViTLayer(nn.Module):
    """Attention among all tokens and a dense branch, each after a norm and each residual."""

    config: ViTConfig
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "batch tokens width"]) -> tuple[Float[Array, "batch tokens width"], None]:
        config, width = self.config, self.config.width

        def project(features, axes, name, contracted=1):
            return Projection(features, axes, contracted, self.dtype, use_bias=True, name=name)

        def norm(name):
            return LayerNorm(config.norm_eps, self.dtype, axis="visual_embed", name=name)

        def scaled(branch, name):
            if not config.layer_scale:
                return branch
            init = nn.with_logical_partitioning(nn.initializers.ones, ("visual_embed",))
            return branch * self.param(name, init, (width,), jnp.float32).astype(self.dtype)

        heads, axes = (config.num_heads, width // config.num_heads), ("visual_embed", "visual_heads", "head_dim")
        states = norm("attention_norm")(x)
        query, key, value = (project(heads, axes, name)(states) for name in ("query", "key", "value"))
        attended = jax.nn.dot_product_attention(query, key, value)  # unmasked: an image's tokens all see each other
        attended = project((width,), ("visual_heads", "head_dim", "visual_embed"), "output", 2)(attended)
        x = image_states(x + scaled(attended, "attention_scale"))

        states = norm("dense_norm")(x)
        hidden, axes = (config.hidden_width,), ("visual_embed", "visual_mlp")
        up = project(hidden, axes, "up")(states)
        act = activation(config.activation)
        up = act(project(hidden, axes, "gate")(states)) * up if config.gated_dense else act(up)
        down = project((width,), ("visual_mlp", "visual_embed"), "down")(up)
        return image_states(x + scaled(down, "dense_scale")), None


class ViT(nn.Module):
    """Images in, one feature vector for each patch out (and for the class token and registers: see `output`)."""

    config: ViTConfig
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, images: UInt8[Array, "batch height width 3"]) -> Float[Array, "batch positions channels"]:
        """Rows and columns that fill no patch, at the bottom and at the right, are not looked at: so do the peers.

        A SigLIP-so400m of 384 pixels sees 378 of them, 27 patches of 14.

        Raises:
          ValueError: the images are smaller than a patch.
        """
        config = self.config
        x = (images.astype(jnp.float32) - jnp.asarray(config.pixel_mean)) / jnp.asarray(config.pixel_scale)
        patches, grid = _patches(x.astype(self.dtype), config.patch_size)
        axes = (None, None, None, "visual_embed")
        embed = Projection((config.width,), axes, 3, self.dtype, use_bias=config.patch_bias, name="patch")
        x = image_states(self._with_positions(image_states(embed(patches)), grid))
        if config.pre_norm:
            x = LayerNorm(config.norm_eps, self.dtype, axis="visual_embed", name="pre_norm")(x)
        layers = nn.scan(
            ViTLayer,
            variable_axes={"params": 0, SCALES: 0},
            split_rngs={"params": True},
            length=config.num_layers,
            metadata_params={nn.PARTITION_NAME: "layers"},
        )
        x, _ = layers(config, self.dtype, name="layers")(x)
        if config.output == "patches":
            x = x[:, -grid[0] * grid[1] :]
        if config.post_norm:
            x = LayerNorm(config.norm_eps, self.dtype, axis="visual_embed", name="post_norm")(x)
        return x

    def _with_positions(
        self, patches: Float[Array, "batch patches width"], grid: tuple[int, int]
    ) -> Float[Array, "batch tokens width"]:
        """Class token, registers and patches, in this order, with the positions of those that have one."""
        config, batch = self.config, patches.shape[0]

        def table(name, *rows):
            init = nn.with_logical_partitioning(nn.initializers.normal(0.02), (*(None for _ in rows), "visual_embed"))
            return self.param(name, init, (*rows, config.width), jnp.float32).astype(jnp.float32)

        def for_each_image(tokens):
            return jnp.broadcast_to(tokens.astype(self.dtype), (batch, *tokens.shape))

        positions, in_front = table("position_embedding", config.grid**2 + config.class_position), []
        if config.class_token:
            token = table("class_token")[None]
            if config.class_position:
                token, positions = token + positions[:1], positions[1:]
            in_front.append(for_each_image(token))
        if config.num_registers:
            in_front.append(for_each_image(table("register_tokens", config.num_registers)))
        positions = resize_grid(positions, (config.grid, config.grid), grid, config.interpolation)
        return jnp.concatenate([*in_front, patches + positions.astype(self.dtype)], axis=1)


def _patches(
    pixels: Float[Array, "batch height width channels"], size: int
) -> tuple[Float[Array, "batch patches size size channels"], tuple[int, int]]:
    """Whole patches, row by row, and how many rows and columns of them there are."""
    batch, height, width, channels = pixels.shape
    rows, columns = height // size, width // size
    if not rows or not columns:
        raise ValueError(f"images of {height} x {width} pixels hold no patch of {size} x {size}: make them larger")
    pixels = pixels[:, : rows * size, : columns * size].reshape(batch, rows, size, columns, size, channels)
    return pixels.swapaxes(2, 3).reshape(batch, rows * columns, size, size, channels), (rows, columns)
