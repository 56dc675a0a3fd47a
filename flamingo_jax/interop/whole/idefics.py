"""IDEFICS checkpoints, in and out: `IdeficsForVisionText2Text` of transformers, as a config and a weight map.

It is a Flamingo on Llama and a CLIP ViT-H/14 with changes of its own: blocks before the layers 0, k, 2k, ... with the
language model's heads, RMS norms, SwiGLU, and norms of queries and keys; the class token among the visual features;
additional tokens with embedding and output rows of their own.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from flamingo_jax.interop.files.tensors import WeightsError
from flamingo_jax.interop.language import llama
from flamingo_jax.interop.layouts import Flat, Layout, Led, Linear, Plain
from flamingo_jax.interop.vision import hf_clip
from flamingo_jax.interop.weight_map import Drop, Rule, WeightMap
from flamingo_jax.interop.whole.expressible import require_expressible
from flamingo_jax.models.flamingo import FlamingoConfig
from flamingo_jax.models.gated_cross_attention import GatedCrossAttentionConfig
from flamingo_jax.models.language.decoder_config import DecoderConfig
from flamingo_jax.models.resampler import PerceiverResamplerConfig
from flamingo_jax.models.vision.vit import ViTConfig

MODEL_TYPE = "idefics"
# What a config.json leaves out has these values: the defaults of transformers' classes.
_DEFAULTS: dict[str, Any] = {
    "vocab_size": 32000,
    "additional_vocab_size": 0,
    "hidden_size": 4096,
    "intermediate_size": 11008,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "hidden_act": "silu",
    "alpha_type": "float",
    "rms_norm_eps": 1e-6,
    "tie_word_embeddings": False,
    "cross_layer_interval": 1,
    "qk_layer_norms": False,
    "use_resampler": False,
    "max_position_embeddings": 2048,
}
_VISION_DEFAULTS: dict[str, Any] = {
    "embed_dim": 768,
    "image_size": 224,
    "intermediate_size": 5120,
    "patch_size": 14,
    "num_hidden_layers": 32,
    "num_attention_heads": 16,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-5,
}
_RESAMPLER_DEFAULTS: dict[str, Any] = {
    "resampler_n_latents": 64,
    "resampler_depth": 6,
    "resampler_n_heads": 16,
    "resampler_head_dim": 96,
    "qk_layer_norms_perceiver": False,
}
_ROPE_THETA = 10_000.0
_ACTIVATIONS = {"silu": "silu", "gelu": "gelu", "relu": "relu", "quick_gelu": "quick_gelu", "gelu_new": "gelu_tanh"}

_INPUTS, _OUTPUTS = Linear(), Linear(contracted=2)
_RESAMPLER_LAYER: dict[str, tuple[str, Layout]] = {
    "0.context_layer_norm.weight": ("media_norm/scale", Plain()),
    "0.context_layer_norm.bias": ("media_norm/bias", Plain()),
    "0.latents_layer_norm.weight": ("latents_norm/scale", Plain()),
    "0.latents_layer_norm.bias": ("latents_norm/bias", Plain()),
    "0.q_proj.weight": ("query/kernel", _INPUTS),
    "0.k_proj.weight": ("key/kernel", _INPUTS),
    "0.v_proj.weight": ("value/kernel", _INPUTS),
    "0.output_proj.weight": ("output/kernel", _OUTPUTS),
    "1.ln.weight": ("dense_norm/scale", Plain()),
    "1.ln.bias": ("dense_norm/bias", Plain()),
    "1.fc.weight": ("dense_in/kernel", _INPUTS),
    "1.c_proj.weight": ("dense_out/kernel", _INPUTS),
}
_RESAMPLER_QK_NORM: dict[str, tuple[str, Layout]] = {
    "0.q_layer_norm.weight": ("query_head_norm/scale", Plain()),
    "0.q_layer_norm.bias": ("query_head_norm/bias", Plain()),
    "0.k_layer_norm.weight": ("key_head_norm/scale", Plain()),
    "0.k_layer_norm.bias": ("key_head_norm/bias", Plain()),
}
_BLOCK: dict[str, tuple[str, Layout]] = {
    "input_layernorm.weight": ("query_norm/scale", Plain()),
    "cross_attn.q_proj.weight": ("query/kernel", _INPUTS),
    "cross_attn.k_proj.weight": ("key/kernel", _INPUTS),
    "cross_attn.v_proj.weight": ("value/kernel", _INPUTS),
    "cross_attn.o_proj.weight": ("output/kernel", _OUTPUTS),
    "post_attention_layernorm.weight": ("dense_norm/scale", Plain()),
    "mlp.gate_proj.weight": ("dense_gate_in/kernel", _INPUTS),
    "mlp.up_proj.weight": ("dense_in/kernel", _INPUTS),
    "mlp.down_proj.weight": ("dense_out/kernel", _INPUTS),
}
_BLOCK_QK_NORM: dict[str, tuple[str, Layout]] = {
    "cross_attn.q_layer_norm.weight": ("query_head_norm/scale", Plain()),
    "cross_attn.k_layer_norm.weight": ("key_head_norm/scale", Plain()),
}


def from_hf(config: Mapping[str, Any]) -> FlamingoConfig:
    """The model that a config.json describes.

    Raises:
      WeightsError: the config asks for what this model does not have (no resampler, stretched rotary positions, layers
        that the interval does not divide); the message names the field.
    """
    top, vision = _filled(config, _DEFAULTS), _filled(config.get("vision_config") or {}, _VISION_DEFAULTS)
    resampler = _filled(config.get("perceiver_config") or {}, _RESAMPLER_DEFAULTS)
    rope = config.get("rope_parameters") or {}
    _require(top["use_resampler"], "use_resampler is false: a Flamingo has a resampler")
    _require(rope.get("rope_type", "default") == "default", f"rotary positions of type {rope.get('rope_type')!r}")
    layers, interval = top["num_hidden_layers"], top["cross_layer_interval"]
    _require(layers % interval == 0, f"cross_layer_interval {interval} does not divide {layers} layers")
    _require(top["alpha_type"] in ("float", "vector"), f"alpha_type {top['alpha_type']!r}")
    for name in ("image_size", "patch_size"):
        _require(isinstance(vision[name], int), f"vision_config.{name} {vision[name]!r}: images are square here")
    width, heads = top["hidden_size"], top["num_attention_heads"]
    _require(width % heads == 0, f"hidden_size {width} does not divide into {heads} heads")
    activation, epsilon = _activation(top["hidden_act"]), top["rms_norm_eps"]
    return FlamingoConfig(
        language=DecoderConfig(
            vocab_size=top["vocab_size"],
            width=width,
            num_layers=layers,
            num_heads=heads,
            num_kv_heads=heads,
            head_dim=width // heads,
            hidden_width=top["intermediate_size"],
            rope_theta=float(rope.get("rope_theta", config.get("rope_theta") or _ROPE_THETA)),
            norm_eps=epsilon,
            tied_embeddings=top["tie_word_embeddings"],
            activation=activation,
            max_length=top["max_position_embeddings"],
        ),
        vision=ViTConfig(
            patch_size=vision["patch_size"],
            width=vision["embed_dim"],
            num_layers=vision["num_hidden_layers"],
            num_heads=vision["num_attention_heads"],
            hidden_width=vision["intermediate_size"],
            image_size=vision["image_size"],
            activation=_activation(vision["hidden_act"]),
            norm_eps=vision["layer_norm_eps"],
            output="all",
        ),
        resampler=PerceiverResamplerConfig(
            width=vision["embed_dim"],
            num_latents=resampler["resampler_n_latents"],
            num_layers=resampler["resampler_depth"],
            num_heads=resampler["resampler_n_heads"],
            head_dim=resampler["resampler_head_dim"],
            hidden_multiplier=4,
            activation="relu",
            qk_norm=resampler["qk_layer_norms_perceiver"],
            max_frames=0,
            project_input=False,
        ),
        cross_attention=GatedCrossAttentionConfig(
            num_heads=heads,
            head_dim=width // heads,
            hidden_multiplier=top["intermediate_size"] / width,
            activation=activation,
            gate_per_channel=top["alpha_type"] == "vector",
            gated_dense=True,
            norm="rms",
            qk_norm=top["qk_layer_norms"],
            normalize_media=False,
            norm_eps=epsilon,
        ),
        cross_attention_every=interval,
        cross_attention_first=0,
        project_visual=False,
        num_new_tokens=top["additional_vocab_size"],
        end_of_chunk=-1,
        # An image is <fake_token_around_image><image><fake_token_around_image>.
        image_tokens=(0, 1, 0) if top["additional_vocab_size"] >= 2 else (),
    )


def to_hf(config: FlamingoConfig) -> dict[str, Any]:
    """The config.json of a model: the inverse of `from_hf`.

    Raises:
      WeightsError: IDEFICS has no form for this model; every field that it cannot hold is named.
    """
    language, vision, resampler = config.language, config.vision, config.resampler
    if not isinstance(vision, ViTConfig) or not isinstance(resampler, PerceiverResamplerConfig):
        raise WeightsError(
            "IDEFICS has no form for this model: its vision encoder is a ViT and its resampler the Perceiver's, "
            f"not {type(vision).__name__} and {type(resampler).__name__}. Write the native format instead"
        )
    result = {
        "architectures": ["IdeficsForVisionText2Text"],
        "model_type": MODEL_TYPE,
        "vocab_size": language.vocab_size,
        "additional_vocab_size": config.num_new_tokens,
        "hidden_size": language.width,
        "intermediate_size": language.hidden_width,
        "num_hidden_layers": language.num_layers,
        "num_attention_heads": language.num_heads,
        "hidden_act": _their_activation(language.activation),
        "alpha_type": "vector" if config.cross_attention.gate_per_channel else "float",
        "rms_norm_eps": language.norm_eps,
        "rope_parameters": {"rope_type": "default", "rope_theta": language.rope_theta},
        "tie_word_embeddings": language.tied_embeddings,
        "cross_layer_interval": config.cross_attention_every or 1,
        "qk_layer_norms": config.cross_attention.qk_norm,
        "use_resampler": True,
        "max_position_embeddings": language.max_length,
        "vision_config": {
            "model_type": "idefics_vision",
            "embed_dim": vision.width,
            "image_size": vision.image_size,
            "intermediate_size": vision.hidden_width,
            "patch_size": vision.patch_size,
            "num_hidden_layers": vision.num_layers,
            "num_attention_heads": vision.num_heads,
            "num_channels": 3,
            "hidden_act": _their_activation(vision.activation),
            "layer_norm_eps": vision.norm_eps,
        },
        "perceiver_config": {
            "model_type": "idefics_perciever",  # so spelt there
            "use_resampler": True,
            "resampler_n_latents": resampler.num_latents,
            "resampler_depth": resampler.num_layers,
            "resampler_n_heads": resampler.num_heads,
            "resampler_head_dim": resampler.head_dim,
            "qk_layer_norms_perceiver": resampler.qk_norm,
        },
    }
    require_expressible("IDEFICS", config, from_hf(result))
    return result


def weight_map(config: FlamingoConfig, names: Iterable[str] = ()) -> WeightMap:
    """The map between a folder's tensors and the parameters of the whole model.

    Args:
      config: of the model, as from `from_hf`.
      names: of the folder's tensors; none for writing.
    """
    names = tuple(names)
    gate = Led(2) if config.cross_attention.gate_per_channel else Flat()
    rules = [
        Rule("model.perceiver_resampler.latents", ("resampler/latents",), Plain()),
        Rule("model.perceiver_resampler.layer_norm.weight", ("resampler/final_norm/scale",), Plain()),
        Rule("model.perceiver_resampler.layer_norm.bias", ("resampler/final_norm/bias",), Plain()),
    ]
    table = _RESAMPLER_LAYER | (_RESAMPLER_QK_NORM if config.resampler.qk_norm else {})
    for layer in range(config.resampler.num_layers):
        rules += _rules(table, f"model.perceiver_resampler.blocks.{layer}.", f"resampler/layers/{layer}/")
    table = _BLOCK | (_BLOCK_QK_NORM if config.cross_attention.qk_norm else {})
    table |= {"alpha_cross_attn": ("attention_gate", gate), "alpha_dense": ("dense_gate", gate)}
    for block in range(config.plan.num_blocks):
        theirs = f"model.gated_cross_attn_layers.{block}."
        rules += _rules(table, theirs, f"language_model/gated_cross_attention/{block}/")
    if config.num_new_tokens:
        rules.append(Rule("model.embed_tokens.additional_embedding.weight", ("language_model/new_rows",), Plain()))
        if not config.language.tied_embeddings:
            rules.append(Rule("lm_head.additional_fc.weight", ("language_model/new_output_rows",), Plain()))

    language = llama.weight_map(config.language, names)
    # A CLIP's names are these less `model.`.
    vision = hf_clip.weight_map(config.vision, [name.removeprefix("model.") for name in names])
    vision = WeightMap(
        tuple(rule._replace(theirs=f"model.{rule.theirs}") for rule in vision.rules),
        tuple(drop._replace(pattern=rf"model\.(?:{drop.pattern})") for drop in vision.drops),
    )
    drops = (
        Drop(r"model\.vision_model\.post_layernorm\..*", "the features are taken before the last norm"),
        Drop(r".*\.rotary_emb\.inv_freq", "a constant that the code computes"),
        Drop(r".*\.position_ids", "a constant that the code computes"),
    )
    if config.language.tied_embeddings:
        drops += (Drop(r"lm_head\..*", "the same table as the embeddings: they are tied"),)
    return WeightMap(tuple(rules), drops) + language.under("language_model/") + vision.under("vision_encoder/")


def constants(config: FlamingoConfig) -> dict[str, np.ndarray]:
    """Tensors that transformers wants in a folder and that no logit depends on: the vision encoder's last norm."""
    width = config.vision.width
    return {
        "model.vision_model.post_layernorm.weight": np.ones(width, np.float32),
        "model.vision_model.post_layernorm.bias": np.zeros(width, np.float32),
    }


def preprocessor(config: FlamingoConfig) -> dict[str, Any]:
    """The preprocessor_config.json of a folder."""
    return {
        "image_processor_type": "IdeficsImageProcessor",
        "processor_class": "IdeficsProcessor",
        "image_num_channels": 3,
        "image_size": config.vision.image_size,
        "image_mean": [round(value / 255, 8) for value in config.vision.pixel_mean],
        "image_std": [round(value / 255, 8) for value in config.vision.pixel_scale],
    }


def _rules(table: Mapping[str, tuple[str, Layout]], theirs: str, ours: str) -> list[Rule]:
    return [Rule(theirs + name, (ours + part,), layout) for name, (part, layout) in table.items()]


def _filled(config: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    return {name: default if config.get(name) is None else config[name] for name, default in defaults.items()}


def _require(condition: bool, what: str) -> None:
    if not condition:
        raise WeightsError(f"this IDEFICS config cannot be converted: {what}")


def _activation(name: str) -> str:
    _require(name in _ACTIVATIONS, f"hidden_act {name!r}; known: {', '.join(sorted(_ACTIVATIONS))}")
    return _ACTIVATIONS[name]


def _their_activation(name: str) -> str:
    for theirs, ours in _ACTIVATIONS.items():
        if ours == name:
            return theirs
    raise WeightsError(f"IDEFICS has no form for this model: transformers has no activation {name!r}")
