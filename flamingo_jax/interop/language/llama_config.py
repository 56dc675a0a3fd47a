"""config.json of Llama, Mistral, Qwen 2 and Qwen 3 (and of what has their model type: SmolLM2, Qwen 2.5)."""

from collections.abc import Mapping
from typing import Any

from flamingo_jax.interop.language.peer_config import (
    PeerConfig,
    layer_types,
    peer_activation,
    rotary_settings,
    window_of,
)
from flamingo_jax.models.language.decoder_config import DecoderConfig

# Defaults of transformers' classes, for keys that files may lack.
_COMMON = {
    "hidden_size": 4096,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "hidden_act": "silu",
    "rms_norm_eps": 1e-6,
    "rope_theta": 10_000.0,
    "tie_word_embeddings": False,
}
_LLAMA = _COMMON | {"vocab_size": 32_000, "intermediate_size": 11_008, "max_position_embeddings": 2048}
_MISTRAL = _COMMON | {
    "vocab_size": 32_000,
    "intermediate_size": 14_336,
    "max_position_embeddings": 131_072,
    "num_key_value_heads": 8,
    "sliding_window": 4096,
}
_QWEN2 = _COMMON | {
    "vocab_size": 151_936,
    "intermediate_size": 22_016,
    "max_position_embeddings": 32_768,
    "num_key_value_heads": 32,
    "use_sliding_window": False,
    "sliding_window": 4096,
    "max_window_layers": 28,
}
_QWEN3 = _QWEN2 | {"head_dim": 128}


def read_llama(data: Mapping[str, Any]) -> DecoderConfig:
    """The decoder of a Llama config.json. Raises WeightsError for what it cannot do."""
    peer = PeerConfig(data, _LLAMA)
    fields = _fields(peer)
    bias, dense_bias = bool(peer["attention_bias"]), bool(peer["mlp_bias"])
    peer.check()
    return DecoderConfig(**fields, qkv_bias=bias, output_bias=bias, dense_bias=dense_bias)


def read_mistral(data: Mapping[str, Any]) -> DecoderConfig:
    """The decoder of a Mistral config.json. Raises WeightsError for what it cannot do."""
    peer = PeerConfig(data, _MISTRAL)
    peer.only("layer_types", None)
    window = peer["sliding_window"]
    fields = _fields(peer) | {"windows": (window,) if window else ()}
    _refuse_scaled_windows(peer, fields)
    peer.check()
    return DecoderConfig(**fields)


def read_qwen2(data: Mapping[str, Any]) -> DecoderConfig:
    """The decoder of a Qwen 2 or 2.5 config.json. Raises WeightsError for what it cannot do."""
    return _read_qwen(PeerConfig(_with_layer_types(data, _QWEN2), {}), qkv_bias=True)


def read_qwen3(data: Mapping[str, Any]) -> DecoderConfig:
    """The decoder of a Qwen 3 config.json. Raises WeightsError for what it cannot do."""
    peer = PeerConfig(_with_layer_types(data, _QWEN3), {})
    bias = bool(peer["attention_bias"])
    return _read_qwen(peer, qk_norm="head", qkv_bias=bias, output_bias=bias)


def write_llama(config: DecoderConfig) -> dict[str, Any]:
    """config.json of a Llama."""
    return settings("llama", "LlamaForCausalLM", config) | {
        "head_dim": config.head_dim,
        "attention_bias": config.qkv_bias,
        "mlp_bias": config.dense_bias,
    }


def write_mistral(config: DecoderConfig) -> dict[str, Any]:
    """config.json of a Mistral. Raises WeightsError if there are windows of several sizes."""
    return settings("mistral", "MistralForCausalLM", config) | {
        "head_dim": config.head_dim,
        "sliding_window": window_of(config) or None,
    }


def write_qwen2(config: DecoderConfig) -> dict[str, Any]:
    """config.json of a Qwen 2. Raises WeightsError if there are windows of several sizes."""
    return settings("qwen2", "Qwen2ForCausalLM", config) | {"head_dim": config.head_dim} | _windows(config)


def write_qwen3(config: DecoderConfig) -> dict[str, Any]:
    """config.json of a Qwen 3. Raises WeightsError if there are windows of several sizes."""
    return settings("qwen3", "Qwen3ForCausalLM", config) | {
        "head_dim": config.head_dim,
        "attention_bias": config.qkv_bias,
        **_windows(config),
    }


def settings(model_type: str, architecture: str, config: DecoderConfig) -> dict[str, Any]:
    """What all Llama-like families have in their config.json."""
    return {
        "architectures": [architecture],
        "model_type": model_type,
        "vocab_size": config.vocab_size,
        "hidden_size": config.width,
        "intermediate_size": config.hidden_width,
        "num_hidden_layers": config.num_layers,
        "num_attention_heads": config.num_heads,
        "num_key_value_heads": config.num_kv_heads,
        "hidden_act": peer_activation(config.activation),
        "max_position_embeddings": config.max_length,
        "rms_norm_eps": config.norm_eps,
        "tie_word_embeddings": config.tied_embeddings,
        **rotary_settings(config),
    }


def sizes(peer: PeerConfig) -> dict[str, Any]:
    """Fields that all Llama-like families take from the same keys."""
    heads = peer["num_attention_heads"]
    return {
        "vocab_size": peer["vocab_size"],
        "width": peer["hidden_size"],
        "num_layers": peer["num_hidden_layers"],
        "num_heads": heads,
        "num_kv_heads": peer["num_key_value_heads"] or heads,
        "head_dim": peer["head_dim"] or peer["hidden_size"] // heads,
        "hidden_width": peer["intermediate_size"],
        "norm_eps": float(peer["rms_norm_eps"]),
        "tied_embeddings": bool(peer["tie_word_embeddings"]),
        "max_length": peer["max_position_embeddings"],
    }


def _fields(peer: PeerConfig) -> dict[str, Any]:
    rotary = peer.rotary()
    if rotary.pop("rotary_fraction") != 1:
        peer.refuse("rotary positions of a part of each head")
    return sizes(peer) | {"activation": peer.activation("hidden_act"), **rotary}


def _read_qwen(peer: PeerConfig, **more: Any) -> DecoderConfig:
    fields = _fields(peer) | {"windows": peer.windows()} | more
    _refuse_scaled_windows(peer, fields)
    peer.check()
    return DecoderConfig(**fields)


def _with_layer_types(data: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """The file's values over the defaults, with the window of each layer spelled out."""
    values = dict(defaults) | dict(data)
    if not values["use_sliding_window"]:
        values["sliding_window"] = None
    if values.get("layer_types") is None:
        first = values["max_window_layers"] if values["sliding_window"] else values["num_hidden_layers"]
        kinds = ("full_attention", "sliding_attention")
        values["layer_types"] = [kinds[layer >= first] for layer in range(values["num_hidden_layers"])]
    return values


def _windows(config: DecoderConfig) -> dict[str, Any]:
    window, windows = window_of(config), config.layer_windows
    return {
        "use_sliding_window": bool(window),
        "sliding_window": window or None,
        # Older versions know of this alone: the number of layers below all those with a window.
        "max_window_layers": next((layer for layer, size in enumerate(windows) if size), len(windows)),
        "layer_types": layer_types(config),
    }


def _refuse_scaled_windows(peer: PeerConfig, fields: Mapping[str, Any]) -> None:
    if fields["windows"] and fields["rotary_scaling"].kind:
        peer.refuse("scaled rotary positions in layers with a sliding window")
