"""config.json of Gemma 1, 2 and 3 (text)."""

import math
from collections.abc import Mapping
from typing import Any

from flamingo_jax.interop.language.llama_config import settings, sizes
from flamingo_jax.interop.language.peer_config import (
    PeerConfig,
    layer_types,
    peer_activation,
    scalar_of,
    scale_of,
    shortest_pattern,
    window_of,
)
from flamingo_jax.models.language.decoder_config import DecoderConfig

# Defaults of transformers' classes. Files rely on them: those of Gemma 3's multimodal models lack the numbers of heads.
_COMMON = {
    "head_dim": 256,
    "max_position_embeddings": 8192,
    "rms_norm_eps": 1e-6,
    "rope_theta": 10_000.0,
    "tie_word_embeddings": True,
}
_GEMMA = _COMMON | {
    "vocab_size": 256_000,
    "hidden_size": 3072,
    "intermediate_size": 24_576,
    "num_hidden_layers": 28,
    "num_attention_heads": 16,
    "num_key_value_heads": 16,
    "hidden_act": "gelu_pytorch_tanh",
}
_GEMMA2 = _COMMON | {
    "vocab_size": 256_000,
    "hidden_size": 2304,
    "intermediate_size": 9216,
    "num_hidden_layers": 26,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "hidden_activation": "gelu_pytorch_tanh",
    "query_pre_attn_scalar": 256,
    "sliding_window": 4096,
    "sliding_window_pattern": 2,
    "attn_logit_softcapping": 50.0,
    "final_logit_softcapping": 30.0,
}
_GEMMA3 = _GEMMA2 | {
    "vocab_size": 262_208,
    "max_position_embeddings": 131_072,
    "rope_theta": 1_000_000.0,
    "rope_local_base_freq": 10_000.0,
    "sliding_window_pattern": 6,
    "attn_logit_softcapping": None,
    "final_logit_softcapping": None,
}


def read_gemma(data: Mapping[str, Any]) -> DecoderConfig:
    """The decoder of a Gemma 1 config.json. Raises WeightsError for what it cannot do."""
    peer = PeerConfig(data, _GEMMA)
    fields = _fields(peer, "hidden_act") | peer.rotary()
    if fields["activation"] == "gelu":
        fields["activation"] = "gelu_tanh"  # what the first files meant by it, and what transformers makes of it
    peer.check()
    return DecoderConfig(**fields)


def read_gemma2(data: Mapping[str, Any]) -> DecoderConfig:
    """The decoder of a Gemma 2 config.json. Raises WeightsError for what it cannot do."""
    peer = PeerConfig(data, _GEMMA2)
    fields = _fields(peer, "hidden_activation") | peer.rotary() | _later_fields(peer)
    if fields["rotary_scaling"].kind:
        peer.refuse("scaled rotary positions in layers with a sliding window")
    peer.check()
    return DecoderConfig(**fields)


def read_gemma3(data: Mapping[str, Any]) -> DecoderConfig:
    """The decoder of a Gemma 3 config.json, text alone or multimodal. Raises WeightsError for what it cannot do."""
    peer = PeerConfig(data.get("text_config", data), _GEMMA3)
    fields = _fields(peer, "hidden_activation") | peer.rotary("full_attention") | _later_fields(peer)
    local = (peer["rope_parameters"] or {}).get("sliding_attention") or {}
    if local.get("rope_type", "default") != "default":
        peer.refuse("scaled rotary positions in layers with a sliding window")
    fields["local_rope_theta"] = float(local.get("rope_theta", peer["rope_local_base_freq"]))
    peer.check()
    return DecoderConfig(**fields, qk_norm="head")


def write_gemma(config: DecoderConfig) -> dict[str, Any]:
    """config.json of a Gemma 1."""
    return _settings("gemma", "GemmaForCausalLM", config)


def write_gemma2(config: DecoderConfig) -> dict[str, Any]:
    """config.json of a Gemma 2. Raises WeightsError if there are windows of several sizes."""
    return _settings("gemma2", "Gemma2ForCausalLM", config) | _later_settings(config)


def write_gemma3(config: DecoderConfig) -> dict[str, Any]:
    """config.json of a Gemma 3 text model. Raises WeightsError if there are windows of several sizes."""
    return (
        _settings("gemma3_text", "Gemma3ForCausalLM", config)
        | _later_settings(config)
        | {"rope_local_base_freq": config.local_rope_theta or config.rope_theta}
    )


def _fields(peer: PeerConfig, activation: str) -> dict[str, Any]:
    peer.only("use_bidirectional_attention", None, False)
    bias = bool(peer["attention_bias"])
    return sizes(peer) | {
        "activation": peer.activation(activation),
        "norm": "rms_offset",
        "qkv_bias": bias,
        "output_bias": bias,
        "embedding_scale": math.sqrt(peer["hidden_size"]),
    }


def _later_fields(peer: PeerConfig) -> dict[str, Any]:
    """What Gemma 2 and 3 have that Gemma 1 has not."""
    if peer["layer_types"]:
        windows = peer.windows()
    else:  # every so many layers one without a window
        every, window = peer["sliding_window_pattern"], peer["sliding_window"]
        windows = shortest_pattern([window if (layer + 1) % every else 0 for layer in range(peer["num_hidden_layers"])])
    return {
        "post_norms": True,
        "windows": windows,
        "attention_scale": scale_of(peer["query_pre_attn_scalar"], peer["head_dim"]),
        "attention_softcap": peer["attn_logit_softcapping"] or 0.0,
        "logit_softcap": peer["final_logit_softcapping"] or 0.0,
    }


def _settings(model_type: str, architecture: str, config: DecoderConfig) -> dict[str, Any]:
    return settings(model_type, architecture, config) | {
        "head_dim": config.head_dim,
        "attention_bias": config.qkv_bias,
        "hidden_activation": peer_activation(config.activation),
    }


def _later_settings(config: DecoderConfig) -> dict[str, Any]:
    return {
        "query_pre_attn_scalar": scalar_of(config),
        "sliding_window": window_of(config) or None,
        "layer_types": layer_types(config),
        "attn_logit_softcapping": config.attention_softcap or None,
        "final_logit_softcapping": config.logit_softcap or None,
    }
