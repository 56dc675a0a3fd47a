"""Vision Transformers (CLIP, SigLIP, DINOv2) as timm names them, and DINOv2's own files, where a few names differ."""

import dataclasses
import re
from collections.abc import Container, Mapping

from flamingo_jax.interop.layouts import Led, Shape
from flamingo_jax.interop.vision.vit_rules import ViTNames, find_prefix, rules
from flamingo_jax.interop.vision.vit_tensors import Recipe, derive
from flamingo_jax.interop.weight_map import Drop, WeightMap
from flamingo_jax.models.vision.vit import ViTConfig

NAMES = ViTNames(
    scheme="timm's",
    patch="patch_embed.proj",
    class_token="cls_token",
    register_tokens="reg_token",
    position_embedding="pos_embed",
    layer="blocks.{}.",
    attention_norm="norm1",
    query_key_value=("attn.qkv",),
    output="attn.proj",
    attention_scale="ls1.gamma",
    dense_norm="norm2",
    up="mlp.fc1",
    down="mlp.fc2",
    gate_up="mlp.fc1",
    gated_down="mlp.fc2",
    dense_scale="ls2.gamma",
    pre_norm="norm_pre",
    post_norm="norm",
    class_layout=Led(2),
    table_layout=Led(1),
)
# Facebook's dinov2_*_pretrain.pth.
ORIGINAL_NAMES = dataclasses.replace(
    NAMES, scheme="DINOv2's own", register_tokens="register_tokens", gate_up="mlp.w12", gated_down="mlp.w3"
)
PREFIXES = ("", "visual.trunk.")  # the second in OpenCLIP's files of SigLIP


def scheme(names: Container[str]) -> ViTNames:
    """timm's names, or those of DINOv2's own files, which alone have a mask token."""
    return ORIGINAL_NAMES if "mask_token" in names else NAMES


def weight_map(config: ViTConfig, names: Container[str] = ()) -> WeightMap:
    """Where each parameter stands.

    Args:
      config: of the encoder.
      names: the tensors of the file, which tell timm's from DINOv2's own and from OpenCLIP's. Without any, timm's.

    Raises:
      WeightsError: the config has parts that the files have not.
    """
    prefix = find_prefix(names, NAMES.position_embedding, PREFIXES)
    own = re.escape(prefix)
    drops = [
        Drop(own + r"(attn_pool|fc_norm|head)\..*", "pools or classifies the features: the model takes them all"),
        Drop("mask_token", "stands for masked patches, which are met in training only"),
    ]
    if prefix:
        drops.append(Drop(r"text\..*|logit_scale|logit_bias|visual\.head\..*", "the text tower, the loss and the head"))
    if not config.post_norm:
        drops.append(Drop(own + r"norm\.(weight|bias)", "the last norm: post_norm is off in the config"))
    return WeightMap(rules(config, scheme(names), prefix), tuple(drops))


def from_tensors(shapes: Mapping[str, Shape], recipe: str | Recipe = "") -> ViTConfig:
    """The config of the encoder whose tensors have these shapes; arguments and errors as `vit_tensors.derive`."""
    names = scheme(shapes)
    config = derive(shapes, names, find_prefix(shapes, names.position_embedding, PREFIXES), recipe)
    if names is ORIGINAL_NAMES and not config.num_registers:
        return dataclasses.replace(config, interpolation="bicubic")  # as its authors do, except with registers
    return config
