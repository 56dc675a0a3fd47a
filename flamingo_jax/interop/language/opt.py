"""OPT: names and config.json."""

from collections.abc import Container, Mapping
from typing import Any

from flamingo_jax.interop.language.naming import find_prefix, tied_copy
from flamingo_jax.interop.language.naming import weight_map as map_names
from flamingo_jax.interop.language.peer_config import PeerConfig, peer_activation
from flamingo_jax.interop.weight_map import Drop, WeightMap
from flamingo_jax.models.language.decoder_config import DecoderConfig

_PREFIXES = ("model.decoder.", "decoder.", "")
_HEAD = "lm_head.weight"
_MODULES = {
    "attention_norm": "self_attn_layer_norm",
    "query": "self_attn.q_proj",
    "key": "self_attn.k_proj",
    "value": "self_attn.v_proj",
    "output": "self_attn.out_proj",
    "dense_norm": "final_layer_norm",
    "up": "fc1",
    "down": "fc2",
}
# Defaults of transformers' class, for keys that files may lack.
_DEFAULTS = {
    "vocab_size": 50_272,
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "ffn_dim": 3072,
    "max_position_embeddings": 2048,
    "do_layer_norm_before": True,
    "_remove_final_layer_norm": False,
    "num_attention_heads": 12,
    "activation_function": "relu",
    "enable_bias": True,
    "layer_norm_elementwise_affine": True,
    "tie_word_embeddings": True,
}
_VERSION = Drop(r"(.*\.)?decoder\.version", "the version of the code that wrote the file")
_OFFSET = 2  # of positions in their table
_NORM_EPS = 1e-5  # torch's default: no config says it


def weight_map(config: DecoderConfig, names: Container[str] = ()) -> WeightMap:
    """The weight map of a file with these tensor names; of a whole checkpoint (`model.decoder...`) without them.

    Raises:
      WeightsError: such files have no place for a parameter of the config.
    """
    prefix = find_prefix(names, "embed_tokens.weight", _PREFIXES)
    table = {
        "embedding": f"{prefix}embed_tokens",
        "position_embedding": f"{prefix}embed_positions",
        "final_norm": f"{prefix}final_layer_norm",
        "output_embedding": _HEAD.removesuffix(".weight"),
        **{f"layers/{ours}": f"{prefix}layers.{{}}.{theirs}" for ours, theirs in _MODULES.items()},
    }
    return map_names(config, table, (_VERSION, *tied_copy(config, _HEAD)))


def read_config(data: Mapping[str, Any]) -> DecoderConfig:
    """The decoder of an OPT config.json. Raises WeightsError for what it cannot do (the norms of OPT-350M)."""
    peer = PeerConfig(data, _DEFAULTS)
    heads, width = peer["num_attention_heads"], peer["hidden_size"]
    if not peer["do_layer_norm_before"]:
        peer.refuse("do_layer_norm_before = False (OPT-350M has its norms after the branches; the other sizes do not)")
    if peer["word_embed_proj_dim"] not in (None, width):
        peer.refuse(f"word_embed_proj_dim = {peer['word_embed_proj_dim']} (embeddings narrower than the model)")
    peer.only("_remove_final_layer_norm", False)
    peer.only("layer_norm_elementwise_affine", True)
    activation, bias = peer.activation("activation_function"), bool(peer["enable_bias"])
    peer.check()
    return DecoderConfig(
        vocab_size=peer["vocab_size"],
        width=width,
        num_layers=peer["num_hidden_layers"],
        num_heads=heads,
        num_kv_heads=heads,
        head_dim=width // heads,
        hidden_width=peer["ffn_dim"],
        norm_eps=_NORM_EPS,
        tied_embeddings=bool(peer["tie_word_embeddings"]),
        activation=activation,
        max_length=peer["max_position_embeddings"],
        norm="layer",
        gated_dense=False,
        qkv_bias=bias,
        output_bias=bias,
        dense_bias=bias,
        positions="learned",
        position_offset=_OFFSET,
    )


def write_config(config: DecoderConfig) -> dict[str, Any]:
    """config.json of an OPT."""
    return {
        "architectures": ["OPTForCausalLM"],
        "model_type": "opt",
        "vocab_size": config.vocab_size,
        "hidden_size": config.width,
        "word_embed_proj_dim": config.width,
        "num_hidden_layers": config.num_layers,
        "ffn_dim": config.hidden_width,
        "max_position_embeddings": config.max_length,
        "do_layer_norm_before": True,
        "num_attention_heads": config.num_heads,
        "activation_function": peer_activation(config.activation),
        "enable_bias": config.qkv_bias,
        "tie_word_embeddings": config.tied_embeddings,
    }
