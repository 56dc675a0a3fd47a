"""GPT-2: names and config.json."""

from collections.abc import Container, Mapping
from typing import Any

from flamingo_jax.interop.language.naming import FUSED, MASK_BUFFERS, find_prefix, linear_layout, tied_copy
from flamingo_jax.interop.language.naming import weight_map as map_names
from flamingo_jax.interop.language.peer_config import PeerConfig, peer_activation
from flamingo_jax.interop.layouts import Joined
from flamingo_jax.interop.weight_map import WeightMap
from flamingo_jax.models.language.decoder_config import DecoderConfig

_PREFIXES = ("transformer.", "")  # OpenAI's own files have none
_HEAD = "lm_head.weight"
_MODULES = {
    "attention_norm": "ln_1",
    FUSED: "attn.c_attn",
    "output": "attn.c_proj",
    "dense_norm": "ln_2",
    "up": "mlp.c_fc",
    "down": "mlp.c_proj",
}
# Defaults of transformers' class, for keys that files may lack.
_DEFAULTS = {
    "vocab_size": 50_257,
    "n_positions": 1024,
    "n_embd": 768,
    "n_layer": 12,
    "n_head": 12,
    "activation_function": "gelu_new",
    "layer_norm_epsilon": 1e-5,
    "scale_attn_weights": True,
    "scale_attn_by_inverse_layer_idx": False,
    "add_cross_attention": False,
    "tie_word_embeddings": True,
}


def weight_map(config: DecoderConfig, names: Container[str] = ()) -> WeightMap:
    """The weight map of a file with these tensor names; of a whole checkpoint (`transformer.h...`) without them.

    Raises:
      WeightsError: such files have no place for a parameter of the config.
    """
    prefix = find_prefix(names, "wte.weight", _PREFIXES)
    table = {
        "embedding": f"{prefix}wte",
        "position_embedding": f"{prefix}wpe",
        "final_norm": f"{prefix}ln_f",
        "output_embedding": _HEAD.removesuffix(".weight"),
        **{f"layers/{ours}": f"{prefix}h.{{}}.{theirs}" for ours, theirs in _MODULES.items()},
    }
    return map_names(
        config,
        table,
        (MASK_BUFFERS, *tied_copy(config, _HEAD)),
        layout=lambda module, parameter: linear_layout(module, parameter, transposed=False),
        fused=lambda parameter, part: Joined(part, axis=1 if parameter == "kernel" else 0),
    )


def read_config(data: Mapping[str, Any]) -> DecoderConfig:
    """The decoder of a GPT-2 config.json. Raises WeightsError for what it cannot do."""
    peer = PeerConfig(data, _DEFAULTS)
    heads, width = peer["n_head"], peer["n_embd"]
    for key in ("scale_attn_weights", "scale_attn_by_inverse_layer_idx", "add_cross_attention"):
        peer.only(key, _DEFAULTS[key])
    activation = peer.activation("activation_function")
    peer.check()
    return DecoderConfig(
        vocab_size=peer["vocab_size"],
        width=width,
        num_layers=peer["n_layer"],
        num_heads=heads,
        num_kv_heads=heads,
        head_dim=width // heads,
        hidden_width=peer["n_inner"] or 4 * width,
        norm_eps=float(peer["layer_norm_epsilon"]),
        tied_embeddings=bool(peer["tie_word_embeddings"]),
        activation=activation,
        max_length=peer["n_positions"],
        norm="layer",
        gated_dense=False,
        qkv_bias=True,
        output_bias=True,
        dense_bias=True,
        positions="learned",
    )


def write_config(config: DecoderConfig) -> dict[str, Any]:
    """config.json of a GPT-2."""
    activation = peer_activation(config.activation)
    return {
        "architectures": ["GPT2LMHeadModel"],
        "model_type": "gpt2",
        "vocab_size": config.vocab_size,
        "n_positions": config.max_length,
        "n_embd": config.width,
        "n_layer": config.num_layers,
        "n_head": config.num_heads,
        "n_inner": config.hidden_width,
        "activation_function": "gelu_new" if activation == "gelu_pytorch_tanh" else activation,
        "layer_norm_epsilon": config.norm_eps,
        "tie_word_embeddings": config.tied_embeddings,
    }
