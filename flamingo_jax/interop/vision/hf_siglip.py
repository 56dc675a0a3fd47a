"""SigLIP's and SigLIP2's image towers as transformers names them.

SigLIP2 comes in two kinds. The encoders of one resolution are SigLIP's class (`model_type` siglip). NaFlex, of many
resolutions, is Siglip2VisionModel: it is fed with patches, so that its patch embedding is a matrix.
"""

import dataclasses
import math
import re
from collections.abc import Container, Mapping
from typing import Any

from flamingo_jax.interop.files.tensors import WeightsError
from flamingo_jax.interop.layouts import Linear
from flamingo_jax.interop.vision import hf_clip, hf_config
from flamingo_jax.interop.vision.vit_rules import ViTNames, find_prefix, rules
from flamingo_jax.interop.weight_map import Drop, WeightMap
from flamingo_jax.models.vision.vit import SIGLIP_MEAN, SIGLIP_SCALE, ViTConfig

NAMES = dataclasses.replace(hf_clip.NAMES, scheme="SigLIP's (transformers)", class_token="", pre_norm="")
# Their processor flattens a patch as rows, columns, channels, which is the order of our kernel's axes.
NAFLEX_NAMES = dataclasses.replace(NAMES, scheme="SigLIP2 NaFlex's", patch_layout=Linear(contracted=3))
_DEFAULTS = {
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "image_size": 224,
    "patch_size": 16,
    "hidden_act": "gelu_pytorch_tanh",
    "layer_norm_eps": 1e-6,
}
_NAFLEX_DEFAULTS = {**_DEFAULTS, "num_patches": 256}


def weight_map(config: ViTConfig, names: Container[str] = ()) -> WeightMap:
    """Where each parameter of a SiglipModel or SiglipVisionModel stands. Arguments, errors: as `hf_clip.weight_map`."""
    return _weight_map(config, names, NAMES)


def naflex_weight_map(config: ViTConfig, names: Container[str] = ()) -> WeightMap:
    """The same for a Siglip2Model or Siglip2VisionModel."""
    return _weight_map(config, names, NAFLEX_NAMES)


def _weight_map(config: ViTConfig, names: Container[str], scheme: ViTNames) -> WeightMap:
    prefix = find_prefix(names, scheme.position_embedding, hf_clip.PREFIXES)
    drops = [
        Drop(r"text_model\..*|logit_scale|logit_bias", "SigLIP's text tower and loss: not the encoder's"),
        Drop(re.escape(prefix) + r"head\..*", "pools the features to one vector: the model takes them all"),
        Drop(re.escape(prefix) + r"embeddings\.position_ids", "the numbers 0, 1, 2, ...: no weights"),
    ]
    if not config.post_norm:
        drops.append(Drop(re.escape(prefix) + r"post_layernorm\.(weight|bias)", hf_clip.NO_POST_NORM))
    return WeightMap(rules(config, scheme, prefix), tuple(drops))


def from_hf(config: Mapping[str, Any]) -> ViTConfig:
    """The encoder of a config.json of SigLIP, or of SigLIP2 of one resolution.

    Raises:
      WeightsError: `ViT` cannot be it; the message says why.
    """
    part = hf_config.section(config, _DEFAULTS)
    return _config(part, hf_config.square(part, "image_size"), "bicubic")


def naflex_from_hf(config: Mapping[str, Any]) -> ViTConfig:
    """The encoder of a config.json of SigLIP2 NaFlex. `image_size` is that of a square of `num_patches` patches.

    Raises:
      WeightsError: as `from_hf`; or `num_patches` is no square.
    """
    part = hf_config.section(config, _NAFLEX_DEFAULTS)
    grid = math.isqrt(part["num_patches"])
    if grid**2 != part["num_patches"]:
        raise WeightsError(f"config.json: num_patches is {part['num_patches']}, which is no square grid of positions")
    return _config(part, grid * hf_config.square(part, "patch_size"), "bilinear_antialias")


def _config(part: Mapping[str, Any], image_size: int, interpolation: str) -> ViTConfig:
    return ViTConfig(
        **hf_config.sizes(part),
        hidden_width=part["intermediate_size"],
        image_size=image_size,
        class_token=False,
        class_position=False,
        pre_norm=False,
        post_norm=True,
        patch_bias=True,
        interpolation=interpolation,
        pixel_mean=SIGLIP_MEAN,
        pixel_scale=SIGLIP_SCALE,
    )


def to_hf(config: ViTConfig) -> dict[str, Any]:
    """The config.json of a SiglipVisionModel without its pooling head."""
    return {
        "architectures": ["SiglipVisionModel"],
        "model_type": "siglip_vision_model",
        **hf_config.written(config),
        "intermediate_size": config.hidden_width,
        "image_size": config.image_size,
        "vision_use_head": False,
    }


def naflex_to_hf(config: ViTConfig) -> dict[str, Any]:
    """The config.json of a Siglip2VisionModel without its pooling head."""
    return {
        "architectures": ["Siglip2VisionModel"],
        "model_type": "siglip2_vision_model",
        **hf_config.written(config),
        "intermediate_size": config.hidden_width,
        "num_patches": config.grid**2,
        "vision_use_head": False,
    }
