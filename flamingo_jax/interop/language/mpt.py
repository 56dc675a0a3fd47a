"""MPT, and the MosaicGPT that it was called before (MPT-1B-RedPajama): names and config.json of both.

MosaicGPT's own code is not in transformers. transformers' MPT reads `expansion_ratio`, `alibi_bias_max` and `qk_ln` but
computes as if they were 4, 8 and False: models with other values are read here as MosaicML's code means them, and are
written in the older form alone.
"""

from collections.abc import Container, Mapping
from typing import Any

from flamingo_jax.interop.files.tensors import WeightsError
from flamingo_jax.interop.language.naming import FUSED, find_prefix, tied_copy
from flamingo_jax.interop.language.naming import weight_map as map_names
from flamingo_jax.interop.language.peer_config import PeerConfig
from flamingo_jax.interop.layouts import Joined
from flamingo_jax.interop.weight_map import WeightMap
from flamingo_jax.models.language.decoder_config import DecoderConfig

_PREFIXES = ("transformer.", "model.transformer.", "")  # the second in checkpoints of MosaicML's trainer
_HEAD = "lm_head.weight"
_ATTENTION = {FUSED: "attn.Wqkv", "query_norm": "attn.q_ln", "key_norm": "attn.k_ln", "output": "attn.out_proj"}
_MODULES = _ATTENTION | {
    "attention_norm": "norm_1",
    "dense_norm": "norm_2",
    "up": "ffn.up_proj",
    "down": "ffn.down_proj",
}
_MOSAIC_MODULES = _ATTENTION | {
    "attention_norm": "ln_1",
    "dense_norm": "ln_2",
    "up": "mlp.mlp_up",
    "down": "mlp.mlp_down",
}
# Defaults of the classes, for keys that files may lack. The older form spells the keys of `attn_config` on the left.
_DEFAULTS = {
    "d_model": 2048,
    "n_heads": 16,
    "n_layers": 24,
    "max_seq_len": 2048,
    "vocab_size": 50_368,
    "layer_norm_epsilon": 1e-5,
    "expansion_ratio": 4,
    "no_bias": True,
    "norm_type": "low_precision_layernorm",
    "tie_word_embeddings": True,
    "attn_config": {},
}
_ATTENTION_DEFAULTS = {
    "attn_type": "multihead_attention",
    "qk_ln": False,
    "prefix_lm": False,
    "alibi": True,
    "alibi_bias_max": 8,
    "rope": False,
    "sliding_window_size": -1,
    "attn_uses_sequence_id": False,
}
_OLDER_KEYS = {
    "attn_qk_ln": "qk_ln",
    "attn_clip_qkv": "clip_qkv",
    "softmax_scale": "softmax_scale",
    "prefix_lm": "prefix_lm",
    "attn_uses_sequence_id": "attn_uses_sequence_id",
    "alibi": "alibi",
    "alibi_bias_max": "alibi_bias_max",
}
_OLDER_DEFAULTS = {"no_bias": False, "alibi": False}


def weight_map(config: DecoderConfig, names: Container[str] = ()) -> WeightMap:
    """The weight map of a file with these tensor names, in either form; without them of a whole checkpoint of MPT.

    Raises:
      WeightsError: such files have no place for a parameter of the config.
    """
    prefix = find_prefix(names, "wte.weight", _PREFIXES)
    if f"{prefix}ln_f.weight" in names:
        return _weight_map(config, prefix, "ln_f", _MOSAIC_MODULES)
    return _weight_map(config, prefix, "norm_f", _MODULES)


def mosaic_weight_map(config: DecoderConfig, names: Container[str] = ()) -> WeightMap:
    """Like `weight_map`; without names that of a whole checkpoint of MosaicGPT."""
    if find_prefix(names, "norm_f.weight", _PREFIXES) + "norm_f.weight" in names:
        return weight_map(config, names)
    return _weight_map(config, find_prefix(names, "wte.weight", _PREFIXES), "ln_f", _MOSAIC_MODULES)


def _weight_map(config: DecoderConfig, prefix: str, final_norm: str, modules: Mapping[str, str]) -> WeightMap:
    table = {
        "embedding": f"{prefix}wte",
        "final_norm": f"{prefix}{final_norm}",
        "output_embedding": _HEAD.removesuffix(".weight"),
        **{f"layers/{ours}": f"{prefix}blocks.{{}}.{theirs}" for ours, theirs in modules.items()},
    }
    return map_names(config, table, tied_copy(config, _HEAD), fused=lambda parameter, part: Joined(part))


def read_config(data: Mapping[str, Any]) -> DecoderConfig:
    """The decoder of an MPT config.json. Raises WeightsError for what it cannot do."""
    peer = PeerConfig(data, _DEFAULTS)
    return _read(peer, PeerConfig(peer["attn_config"] or {}, _ATTENTION_DEFAULTS))


def read_mosaic_config(data: Mapping[str, Any]) -> DecoderConfig:
    """The decoder of a MosaicGPT config.json. Raises WeightsError for what it cannot do."""
    data = _OLDER_DEFAULTS | dict(data)
    attention = {new: data[old] for old, new in _OLDER_KEYS.items() if old in data}
    newer = {"expansion_ratio": data.get("mlp_ratio", 4), "norm_type": "layernorm", "tie_word_embeddings": True}
    return _read(PeerConfig(data | newer, _DEFAULTS), PeerConfig(attention, _ATTENTION_DEFAULTS))


def _read(peer: PeerConfig, attention: PeerConfig) -> DecoderConfig:
    width, heads = peer["d_model"], peer["n_heads"]
    peer.only("no_bias", True)
    peer.only("logit_scale", None)
    peer.only("norm_type", "low_precision_layernorm", "layernorm")
    for key in ("attn_type", "prefix_lm", "rope", "sliding_window_size", "attn_uses_sequence_id"):
        attention.only(key, _ATTENTION_DEFAULTS[key])
    attention.only("kv_n_heads", None, heads)
    if not attention["alibi"]:
        attention.refuse("alibi = False (models with a table of positions)")
    peer.check(attention)
    return DecoderConfig(
        vocab_size=peer["vocab_size"],
        width=width,
        num_layers=peer["n_layers"],
        num_heads=heads,
        num_kv_heads=heads,
        head_dim=width // heads,
        hidden_width=int(width * peer["expansion_ratio"]),
        norm_eps=float(peer["layer_norm_epsilon"]),
        tied_embeddings=bool(peer["tie_word_embeddings"]),
        activation="gelu",
        max_length=peer["max_seq_len"],
        norm="layer_no_bias",
        qk_norm="width" if attention["qk_ln"] else "",
        gated_dense=False,
        qkv_clip=float(attention["clip_qkv"] or 0.0),
        positions="alibi",
        alibi_max=float(attention["alibi_bias_max"]),
        attention_scale=float(attention["softmax_scale"] or 0.0),
    )


def write_config(config: DecoderConfig) -> dict[str, Any]:
    """config.json of an MPT. Raises WeightsError for what transformers' MPT would not compute."""
    ignored = {
        "a hidden width other than 4 times the width": config.hidden_width != 4 * config.width,
        "an ALiBi maximum other than 8": config.alibi_max != 8,
        "norms of queries and keys": bool(config.qk_norm),
    }
    if any(ignored.values()):
        listed = ", ".join(what for what, here in ignored.items() if here)
        raise WeightsError(f"transformers' MPT would ignore {listed}: write a MosaicGPT (mosaic_gpt) instead")
    return {
        "architectures": ["MptForCausalLM"],
        "model_type": "mpt",
        "layer_norm_epsilon": config.norm_eps,
        "expansion_ratio": 4,
        "norm_type": "low_precision_layernorm",
        "tie_word_embeddings": config.tied_embeddings,
        "attn_config": {
            "attn_type": "multihead_attention",
            "attn_impl": "torch",
            "alibi": True,
            "alibi_bias_max": 8,
            "clip_qkv": config.qkv_clip or None,
            "qk_ln": False,
            "softmax_scale": config.attention_scale or None,
            "prefix_lm": False,
        },
        **_settings(config),
    }


def write_mosaic_config(config: DecoderConfig) -> dict[str, Any]:
    """config.json of a MosaicGPT."""
    return {
        "architectures": ["MosaicGPT"],
        "model_type": "mosaic_gpt",
        "mlp_ratio": config.hidden_width // config.width,
        "low_precision_layernorm": True,
        "attn_impl": "torch",
        "alibi": True,
        "alibi_bias_max": int(config.alibi_max),
        "attn_clip_qkv": config.qkv_clip or None,
        "attn_qk_ln": config.qk_norm == "width",
        "softmax_scale": config.attention_scale or None,
        "prefix_lm": False,
        **_settings(config),
    }


def _settings(config: DecoderConfig) -> dict[str, Any]:
    return {
        "d_model": config.width,
        "n_heads": config.num_heads,
        "n_layers": config.num_layers,
        "max_seq_len": config.max_length,
        "vocab_size": config.vocab_size,
        "no_bias": True,
        "logit_scale": None,
    }
