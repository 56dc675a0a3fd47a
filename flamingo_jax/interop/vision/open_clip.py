"""CLIP's image tower as OpenAI and OpenCLIP name it (`visual.transformer.resblocks.0...`)."""

import re
from collections.abc import Container, Mapping
from typing import Any

from flamingo_jax.interop.files.tensors import WeightsError
from flamingo_jax.interop.layouts import Shape
from flamingo_jax.interop.vision import hf_config
from flamingo_jax.interop.vision.vit_rules import ViTNames, find_prefix, rules
from flamingo_jax.interop.vision.vit_tensors import Recipe, derive
from flamingo_jax.interop.weight_map import Drop, WeightMap
from flamingo_jax.models.vision.vit import OPENAI_MEAN, OPENAI_SCALE, ViTConfig

NAMES = ViTNames(
    scheme="OpenCLIP's",
    patch="conv1",
    class_token="class_embedding",
    position_embedding="positional_embedding",
    layer="transformer.resblocks.{}.",
    attention_norm="ln_1",
    query_key_value=("attn.in_proj",),
    fused_dot="_",
    output="attn.out_proj",
    attention_scale="ls_1.gamma",
    dense_norm="ln_2",
    up="mlp.c_fc",
    down="mlp.c_proj",
    dense_scale="ls_2.gamma",
    pre_norm="ln_pre",
    post_norm="ln_post",
)
PREFIXES = ("visual.", "")
NO_POST_NORM = (
    "ln_post: the config takes the features before it (post_norm is off), as OpenFlamingo and IDEFICS were trained; "
    "open_clip since 2.23 returns them after it"
)
_TEXT = r"(transformer|token_embedding|ln_final|text)\..*|positional_embedding|text_projection|logit_scale|logit_bias"
# Settings of `vision_cfg` that change the network in ways that `ViT` has no field for.
_UNKNOWN = ("timm_model_name", "attentional_pool", "block_type", "qk_norm", "scaled_cosine_attn", "scale_heads")
_UNKNOWN += ("scale_attn_inner", "scale_attn", "scale_fc")


def weight_map(config: ViTConfig, names: Container[str] = ()) -> WeightMap:
    """Where each parameter stands.

    Args:
      config: of the encoder.
      names: the tensors of the file, to find their prefix: `visual.` (whole models, and without names) or none.

    Raises:
      WeightsError: the config has parts that CLIP has not.
    """
    prefix = find_prefix(names, NAMES.class_token, PREFIXES)
    drops = [Drop(re.escape(prefix) + "proj", "maps the class token to CLIP's joint space: the features are before it")]
    if prefix:
        drops.append(Drop(_TEXT, "CLIP's text tower and loss: not the encoder's"))
        drops.append(Drop("input_resolution|context_length|vocab_size", "sizes of the model as numbers: no weights"))
    if not config.post_norm:
        drops.append(Drop(re.escape(prefix) + r"ln_post\.(weight|bias)", NO_POST_NORM))
    return WeightMap(rules(config, NAMES, prefix), tuple(drops))


def from_config(config: Mapping[str, Any]) -> ViTConfig:
    """The encoder of an open_clip_config.json (`model_cfg`, and `preprocess_cfg` if it is there).

    Its features are the patches' before the last norm: see `ViTConfig`.

    Raises:
      WeightsError: `ViT` cannot be it; the message says why.
    """
    model = config.get("model_cfg", config)
    part = {"head_width": 64, "mlp_ratio": 4.0, "patch_size": 16, "layers": 12, "width": 768, "image_size": 224}
    part |= model["vision_cfg"]
    odd = [name for name in _UNKNOWN if part.get(name)] + (["layers"] if not isinstance(part["layers"], int) else [])
    if odd:
        raise WeightsError(
            f"open_clip_config.json: {', '.join(f'{name}={part[name]!r}' for name in odd)} is no plain Vision "
            "Transformer. For one of timm's under `visual.trunk.`, use `from_tensors`"
        )
    approximate = (part.get("act_kwargs") or {}).get("approximate") == "tanh"
    mean, scale = OPENAI_MEAN, OPENAI_SCALE
    if "mean" in config.get("preprocess_cfg", {}):
        mean, scale = hf_config.pixels(config["preprocess_cfg"])
    return ViTConfig(
        patch_size=hf_config.square(part, "patch_size"),
        width=part["width"],
        num_layers=part["layers"],
        num_heads=part["width"] // part["head_width"],
        hidden_width=int(part["width"] * part["mlp_ratio"]),
        image_size=hf_config.square(part, "image_size"),
        activation="quick_gelu" if model.get("quick_gelu") else "gelu_tanh" if approximate else "gelu",
        pre_norm=not part.get("no_ln_pre"),
        layer_scale=part.get("ls_init_value") is not None,
        norm_eps=(part.get("norm_kwargs") or {}).get("eps", 1e-5),
        interpolation="bicubic_antialias",
        pixel_mean=mean,
        pixel_scale=scale,
    )


def from_tensors(shapes: Mapping[str, Shape], recipe: str | Recipe = "") -> ViTConfig:
    """The config of the encoder whose tensors have these shapes; arguments and errors as `vit_tensors.derive`."""
    return derive(shapes, NAMES, find_prefix(shapes, NAMES.class_token, PREFIXES), recipe)
