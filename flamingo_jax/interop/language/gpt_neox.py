"""GPT-NeoX (Pythia, RedPajama-INCITE): names and config.json."""

from collections.abc import Container, Mapping
from typing import Any

from flamingo_jax.interop.language.naming import FUSED, MASK_BUFFERS, ROTARY_BUFFERS, find_prefix, tied_copy
from flamingo_jax.interop.language.naming import weight_map as map_names
from flamingo_jax.interop.language.peer_config import PeerConfig, peer_activation, rotary_settings
from flamingo_jax.interop.layouts import JoinedByHead
from flamingo_jax.interop.weight_map import WeightMap
from flamingo_jax.models.language.decoder_config import DecoderConfig

_PREFIXES = ("gpt_neox.", "")
_HEADS = ("embed_out.weight", "lm_head.weight")  # transformers 5 names its module the second way, but writes the first
_MODULES = {
    "attention_norm": "input_layernorm",
    FUSED: "attention.query_key_value",
    "output": "attention.dense",
    "dense_norm": "post_attention_layernorm",
    "up": "mlp.dense_h_to_4h",
    "down": "mlp.dense_4h_to_h",
}
# Defaults of transformers' class, for keys that files may lack.
_DEFAULTS = {
    "vocab_size": 50_432,
    "hidden_size": 6144,
    "num_hidden_layers": 44,
    "num_attention_heads": 64,
    "intermediate_size": 24_576,
    "hidden_act": "gelu",
    "max_position_embeddings": 2048,
    "layer_norm_eps": 1e-5,
    "rope_theta": 10_000.0,
    "partial_rotary_factor": 0.25,
    "tie_word_embeddings": False,
    "use_parallel_residual": True,
    "attention_bias": True,
}
_OLDER = {"rotary_pct": "partial_rotary_factor", "rotary_emb_base": "rope_theta"}


def weight_map(config: DecoderConfig, names: Container[str] = ()) -> WeightMap:
    """The weight map of a file with these tensor names; of a whole checkpoint (`gpt_neox.layers...`) without them.

    Raises:
      WeightsError: such files have no place for a parameter of the config.
    """
    prefix = find_prefix(names, "embed_in.weight", _PREFIXES)
    head = next((name for name in _HEADS if name in names), _HEADS[0])
    table = {
        "embedding": f"{prefix}embed_in",
        "final_norm": f"{prefix}final_layer_norm",
        "output_embedding": head.removesuffix(".weight"),
        **{f"layers/{ours}": f"{prefix}layers.{{}}.{theirs}" for ours, theirs in _MODULES.items()},
    }
    drops = (ROTARY_BUFFERS, MASK_BUFFERS, *tied_copy(config, *_HEADS))
    return map_names(config, table, drops, fused=lambda parameter, part: JoinedByHead(part, config.num_heads))


def read_config(data: Mapping[str, Any]) -> DecoderConfig:
    """The decoder of a GPT-NeoX config.json. Raises WeightsError for what it cannot do."""
    older = {new: data[old] for old, new in _OLDER.items() if old in data}
    peer = PeerConfig(data, _DEFAULTS | older)
    heads, width = peer["num_attention_heads"], peer["hidden_size"]
    fields = {"activation": peer.activation("hidden_act"), **peer.rotary()}
    bias = bool(peer["attention_bias"])
    peer.check()
    return DecoderConfig(
        vocab_size=peer["vocab_size"],
        width=width,
        num_layers=peer["num_hidden_layers"],
        num_heads=heads,
        num_kv_heads=heads,
        head_dim=width // heads,
        hidden_width=peer["intermediate_size"],
        norm_eps=float(peer["layer_norm_eps"]),
        tied_embeddings=bool(peer["tie_word_embeddings"]),
        max_length=peer["max_position_embeddings"],
        norm="layer",
        parallel_residual=bool(peer["use_parallel_residual"]),
        gated_dense=False,
        qkv_bias=bias,
        output_bias=bias,
        dense_bias=True,
        **fields,
    )


def write_config(config: DecoderConfig) -> dict[str, Any]:
    """config.json of a GPT-NeoX."""
    rotary = rotary_settings(config)
    return {
        "architectures": ["GPTNeoXForCausalLM"],
        "model_type": "gpt_neox",
        "vocab_size": config.vocab_size,
        "hidden_size": config.width,
        "num_hidden_layers": config.num_layers,
        "num_attention_heads": config.num_heads,
        "intermediate_size": config.hidden_width,
        "hidden_act": peer_activation(config.activation),
        "max_position_embeddings": config.max_length,
        "layer_norm_eps": config.norm_eps,
        "tie_word_embeddings": config.tied_embeddings,
        "use_parallel_residual": config.parallel_residual,
        "attention_bias": config.qkv_bias,
        "rotary_pct": config.rotary_fraction,
        "rotary_emb_base": rotary["rope_theta"],
        "rope_scaling": rotary["rope_scaling"],
    }
