"""The config of a Vision Transformer from the names and shapes of its tensors, as far as they tell."""

import dataclasses
import math
import re
from collections.abc import Mapping

from flamingo_jax.interop.files.tensors import WeightsError
from flamingo_jax.interop.layouts import Shape
from flamingo_jax.interop.vision.vit_rules import ViTNames
from flamingo_jax.models.vision.vit import (
    IMAGENET_MEAN,
    IMAGENET_SCALE,
    OPENAI_MEAN,
    OPENAI_SCALE,
    SIGLIP_MEAN,
    SIGLIP_SCALE,
    Pixels,
    ViTConfig,
)


@dataclasses.dataclass(frozen=True)
class Recipe:
    """What no tensor tells.

    Attributes:
      activation, norm_eps, pixel_mean, pixel_scale: as in `ViTConfig`; the activation of a gated branch is silu.
      post_norm: whether the features are taken after the last norm, if the file has one.
      num_heads: 0 for the published models' number at the encoder's width.
    """

    activation: str
    norm_eps: float
    pixel_mean: Pixels
    pixel_scale: Pixels
    post_norm: bool = True
    num_heads: int = 0


RECIPES = {
    "openai_clip": Recipe("quick_gelu", 1e-5, OPENAI_MEAN, OPENAI_SCALE, post_norm=False),
    # Not for LAION-2B's ViT-L/14, which was trained with SigLIP's pixels: its open_clip_config.json says so.
    "open_clip": Recipe("gelu", 1e-5, OPENAI_MEAN, OPENAI_SCALE, post_norm=False),
    # Trained with the tanh approximation, as transformers runs it; timm runs the older ones with exact GELU.
    "siglip": Recipe("gelu_tanh", 1e-6, SIGLIP_MEAN, SIGLIP_SCALE),
    "dinov2": Recipe("gelu", 1e-6, IMAGENET_MEAN, IMAGENET_SCALE),
}
# Heads by width of CLIP, SigLIP and DINOv2 as published. 1536 is DINOv2's giant (24) and SigLIP2's giant-opt (16).
_HEADS = {256: 4, 384: 6, 512: 8, 640: 10, 768: 12, 896: 14, 1024: 16, 1152: 16, 1280: 16, 1408: 16, 1664: 16, 1792: 16}
_GIANT_HEADS = {"dinov2": 24, "siglip": 16}


def derive(shapes: Mapping[str, Shape], names: ViTNames, prefix: str, recipe: str | Recipe = "") -> ViTConfig:
    """The config of the encoder whose tensors have these shapes.

    Args:
      shapes: of every tensor of the file.
      names, prefix: the naming scheme.
      recipe: what shapes cannot tell: a key of `RECIPES`, or values of your own. May be left out where the tensors tell
        the family: layer scale is DINOv2's, no class token SigLIP's, and `input_resolution` OpenAI's files'.

    Raises:
      WeightsError: a tensor is missing or the table of positions is no square, with the name; or what the recipe or the
        number of heads is cannot be known, with what to give.
    """
    of_layers = re.compile(re.escape(prefix) + re.escape(names.layer).replace(r"\{\}", r"(\d+)") + ".*")
    layers = {int(match[1]) for match in map(of_layers.fullmatch, shapes) if match}
    first = names.layer.format(0)

    def shape(name: str) -> Shape:
        if prefix + name not in shapes:
            raise WeightsError(f"no tensor {prefix + name}, which the encoder in {names.scheme} files has")
        return shapes[prefix + name]

    def has(name: str) -> bool:
        return bool(name) and prefix + name in shapes

    width, _, patch_size, _ = shape(f"{names.patch}.weight")
    class_token, registers = has(names.class_token), has(names.register_tokens)
    positions = shape(names.position_embedding)[-2]
    grid = math.isqrt(positions)
    class_position = class_token and grid**2 != positions
    if class_position:
        grid = math.isqrt(positions - 1)
    if grid**2 + class_position != positions:
        raise WeightsError(f"{prefix + names.position_embedding} has {positions} rows: no square grid of patches")
    layer_scale = has(first + names.attention_scale)
    recipe, num_heads = _recipe(recipe, width, "input_resolution" in shapes, layer_scale, class_token)
    hidden, gated = _dense(shape, has, first, names)
    return ViTConfig(
        patch_size=patch_size,
        width=width,
        num_layers=len(layers),
        num_heads=num_heads,
        hidden_width=hidden,
        image_size=grid * patch_size,
        activation="silu" if gated else recipe.activation,
        class_token=class_token,
        class_position=class_position,
        num_registers=shape(names.register_tokens)[-2] if registers else 0,
        pre_norm=has(f"{names.pre_norm}.weight"),
        post_norm=recipe.post_norm and has(f"{names.post_norm}.weight"),
        layer_scale=layer_scale,
        patch_bias=has(f"{names.patch}.bias"),
        gated_dense=gated,
        norm_eps=recipe.norm_eps,
        interpolation="bicubic_antialias",
        pixel_mean=recipe.pixel_mean,
        pixel_scale=recipe.pixel_scale,
    )


def _dense(shape, has, layer: str, names: ViTNames) -> tuple[int, bool]:
    """Width of the dense branch, and whether it is gated: then the first matrix makes twice what the last one takes."""
    if names.gate_up and has(f"{layer}{names.gate_up}.weight"):
        hidden = shape(f"{layer}{names.gated_down}.weight")[1]
        return hidden, shape(f"{layer}{names.gate_up}.weight")[0] == 2 * hidden
    return shape(f"{layer}{names.up}.weight")[0], False


def _recipe(
    recipe: str | Recipe, width: int, of_openai: bool, layer_scale: bool, class_token: bool
) -> tuple[Recipe, int]:
    """The recipe and the number of heads, from what was given and what the tensors tell."""
    if not recipe:
        recipe = "openai_clip" if of_openai else "dinov2" if layer_scale else "" if class_token else "siglip"
    if not recipe:
        raise WeightsError(
            "activation, norm_eps and pixel normalization stand in no tensor, and these could be of several families: "
            f"give recipe, one of {', '.join(RECIPES)} (OpenAI's weights: openai_clip; LAION's: open_clip), or a Recipe"
        )
    if isinstance(recipe, str) and recipe not in RECIPES:
        raise WeightsError(f"unknown recipe {recipe!r}; known: {', '.join(RECIPES)}")
    values = RECIPES[recipe] if isinstance(recipe, str) else recipe
    num_heads = values.num_heads or _HEADS.get(width)
    if num_heads is None and width == 1536:
        num_heads = _GIANT_HEADS.get(recipe)
    if num_heads is None:
        raise WeightsError(
            f"the number of heads stands in no tensor, and no published encoder of this family is {width} wide: give a "
            "Recipe with num_heads"
        )
    return values, num_heads
