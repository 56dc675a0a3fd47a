"""DINOv2 as transformers names it: Dinov2Model and Dinov2WithRegistersModel, alone or in a network of other heads."""

import dataclasses
import re
from collections.abc import Container, Mapping
from typing import Any

import numpy as np

from flamingo_jax.interop.files.tensors import WeightsError
from flamingo_jax.interop.layouts import Led
from flamingo_jax.interop.vision import hf_config
from flamingo_jax.interop.vision.vit_rules import ViTNames, find_prefix, rules
from flamingo_jax.interop.weight_map import Drop, WeightMap
from flamingo_jax.models.vision.vit import IMAGENET_MEAN, IMAGENET_SCALE, ViTConfig

NAMES = ViTNames(
    scheme="DINOv2's (transformers)",
    patch="embeddings.patch_embeddings.projection",
    class_token="embeddings.cls_token",
    register_tokens="embeddings.register_tokens",
    position_embedding="embeddings.position_embeddings",
    layer="encoder.layer.{}.",
    attention_norm="norm1",
    query_key_value=("attention.attention.query", "attention.attention.key", "attention.attention.value"),
    output="attention.output.dense",
    attention_scale="layer_scale1.lambda1",
    dense_norm="norm2",
    up="mlp.fc1",
    down="mlp.fc2",
    gate_up="mlp.weights_in",
    gated_down="mlp.weights_out",
    dense_scale="layer_scale2.lambda1",
    post_norm="layernorm",
    class_layout=Led(2),
    table_layout=Led(1),
)
_BACKBONE = "backbone."  # of dense prediction: depth, segmentation, saliency
PREFIXES = ("", "dinov2.", "dinov2_with_registers.", _BACKBONE)
_DEFAULTS = {
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "mlp_ratio": 4,
    "image_size": 224,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-6,
    "use_swiglu_ffn": False,
    "qkv_bias": True,
}
_PLAIN_DEFAULTS = {**_DEFAULTS, "patch_size": 14}
_REGISTERS_DEFAULTS = {**_DEFAULTS, "patch_size": 16, "num_register_tokens": 4}


def weight_map(config: ViTConfig, names: Container[str] = ()) -> WeightMap:
    """Where each parameter stands; `names` are the file's tensors, to find their prefix (without any: none).

    Raises:
      WeightsError: the config has parts that DINOv2 has not.
    """
    prefix = find_prefix(names, NAMES.class_token, PREFIXES)
    drops = [
        Drop(
            re.escape(prefix) + r"embeddings\.mask_token", "stands for masked patches, which are met in training only"
        ),
        Drop(r"classifier\.(weight|bias)", "a classifier on the pooled features: the model takes them all"),
    ]
    if prefix == _BACKBONE:
        drops.append(Drop(rf"(?!{re.escape(prefix)}).*", "decodes the features: the model takes them as they are"))
    if not config.post_norm:
        drops.append(Drop(re.escape(prefix) + r"layernorm\.(weight|bias)", "post_norm is off in the config"))
    return WeightMap(rules(config, NAMES, prefix), tuple(drops))


def from_hf(config: Mapping[str, Any]) -> ViTConfig:
    """The encoder of a config.json of DINOv2, with registers or without (`model_type`).

    Raises:
      WeightsError: `ViT` cannot be it; the message says why.
    """
    registers = config.get("model_type") == "dinov2_with_registers"
    part = hf_config.section(config, _REGISTERS_DEFAULTS if registers else _PLAIN_DEFAULTS)
    if not part["qkv_bias"]:
        raise WeightsError("config.json: qkv_bias is false; ViT has biases on queries, keys and values")
    gated = part["use_swiglu_ffn"]
    fields = hf_config.sizes(part)
    if gated:
        fields["activation"] = "silu"
    return ViTConfig(
        **fields,
        hidden_width=_hidden_width(part["hidden_size"], part["mlp_ratio"], gated),
        image_size=hf_config.square(part, "image_size"),
        num_registers=part["num_register_tokens"] if registers else 0,
        pre_norm=False,
        post_norm=True,
        layer_scale=True,
        patch_bias=True,
        gated_dense=gated,
        interpolation="bicubic_antialias" if registers else "bicubic",
        pixel_mean=IMAGENET_MEAN,
        pixel_scale=IMAGENET_SCALE,
    )


def to_hf(config: ViTConfig) -> dict[str, Any]:
    """The config.json of a Dinov2Model, or, with registers, of a Dinov2WithRegistersModel.

    Raises:
      WeightsError: no whole `mlp_ratio` gives the config's `hidden_width`.
    """
    ratios = (r for r in range(1, 17) if _hidden_width(config.width, r, config.gated_dense) == config.hidden_width)
    ratio = next(ratios, None)
    if ratio is None:
        raise WeightsError(
            f"DINOv2 in transformers has a hidden width of a whole number times {config.width} (two thirds of it, in "
            f"steps of 8, if gated): {config.hidden_width} is not one"
        )
    fields = {
        "architectures": ["Dinov2Model"],
        "model_type": "dinov2",
        **hf_config.written(dataclasses.replace(config, activation="gelu") if config.gated_dense else config),
        "mlp_ratio": ratio,
        "image_size": config.image_size,
        "use_swiglu_ffn": config.gated_dense,
        "qkv_bias": True,
        "use_mask_token": False,
    }
    if config.num_registers:
        fields["architectures"], fields["model_type"] = ["Dinov2WithRegistersModel"], "dinov2_with_registers"
        fields["num_register_tokens"] = config.num_registers
    return fields


def constants(config: ViTConfig) -> dict[str, np.ndarray]:
    """The mask token, which Dinov2WithRegistersModel always has; Dinov2Model can do without (`use_mask_token`)."""
    return {"embeddings.mask_token": np.zeros((1, config.width), np.float32)} if config.num_registers else {}


def _hidden_width(width: int, ratio: float, gated: bool) -> int:
    hidden = int(width * ratio)
    # Of a gated branch two thirds, rounded up to a multiple of 8: as many parameters as without the gate.
    return (int(hidden * 2 / 3) + 7) // 8 * 8 if gated else hidden
