"""CLIP's image tower as transformers names it: CLIPModel, CLIPVisionModel and CLIPVisionModelWithProjection."""

import re
from collections.abc import Container, Mapping
from typing import Any

import numpy as np

from flamingo_jax.interop.vision import hf_config
from flamingo_jax.interop.vision.vit_rules import ViTNames, find_prefix, rules
from flamingo_jax.interop.weight_map import Drop, WeightMap
from flamingo_jax.models.vision.vit import ViTConfig

NAMES = ViTNames(
    scheme="CLIP's (transformers)",
    patch="embeddings.patch_embedding",
    class_token="embeddings.class_embedding",
    position_embedding="embeddings.position_embedding.weight",
    layer="encoder.layers.{}.",
    attention_norm="layer_norm1",
    query_key_value=("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    output="self_attn.out_proj",
    dense_norm="layer_norm2",
    up="mlp.fc1",
    down="mlp.fc2",
    pre_norm="pre_layrnorm",  # their spelling
    post_norm="post_layernorm",
)
# CLIPVisionModel has its tensors under the first prefix in published files, and under none since transformers 5.
PREFIXES = ("vision_model.", "")
NO_POST_NORM = "the config takes the features before the last norm (post_norm is off), as OpenFlamingo and IDEFICS do"
_DEFAULTS = {
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "image_size": 224,
    "patch_size": 32,
    "hidden_act": "quick_gelu",
    "layer_norm_eps": 1e-5,
}


def weight_map(config: ViTConfig, names: Container[str] = ()) -> WeightMap:
    """Where each parameter stands.

    Args:
      config: of the encoder.
      names: the tensors of the file, to find their prefix. Without any, `vision_model.`, which every version reads.

    Raises:
      WeightsError: the config has parts that CLIP has not.
    """
    prefix = find_prefix(names, NAMES.class_token, PREFIXES)
    drops = [
        Drop(r"text_model\..*|text_projection\.weight|logit_scale", "CLIP's text tower and loss: not the encoder's"),
        Drop(r"visual_projection\.weight", "maps the class token to CLIP's joint space: the features are before it"),
        Drop(re.escape(prefix) + r"embeddings\.position_ids", "the numbers 0, 1, 2, ...: no weights"),
    ]
    if not config.post_norm:
        drops.append(Drop(re.escape(prefix) + r"post_layernorm\.(weight|bias)", NO_POST_NORM))
    return WeightMap(rules(config, NAMES, prefix), tuple(drops))


def from_hf(config: Mapping[str, Any]) -> ViTConfig:
    """The encoder of a config.json of CLIP. Its features are the patches' before the last norm: see `ViTConfig`.

    Raises:
      WeightsError: `ViT` cannot be it; the message says why.
    """
    part = hf_config.section(config, _DEFAULTS)
    return ViTConfig(
        **hf_config.sizes(part),
        hidden_width=part["intermediate_size"],
        image_size=hf_config.square(part, "image_size"),
    )


def to_hf(config: ViTConfig) -> dict[str, Any]:
    """The config.json of a CLIPVisionModel."""
    return {
        "architectures": ["CLIPVisionModel"],
        "model_type": "clip_vision_model",
        **hf_config.written(config),
        "intermediate_size": config.hidden_width,
        "image_size": config.image_size,
    }


def constants(config: ViTConfig) -> dict[str, np.ndarray]:
    """The last norm, where the config has none: CLIPVisionModel has one, for the pooled class token alone."""
    if config.post_norm:
        return {}
    norm = PREFIXES[0] + NAMES.post_norm
    return {f"{norm}.weight": np.ones(config.width, np.float32), f"{norm}.bias": np.zeros(config.width, np.float32)}
