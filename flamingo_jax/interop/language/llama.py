"""Names of Llama and of those like it (Mistral, SmolLM2, Qwen 2, 2.5 and 3, Gemma 1 to 3) in transformers' files."""

from collections.abc import Container

from flamingo_jax.interop.language.naming import ROTARY_BUFFERS, find_prefix, tied_copy
from flamingo_jax.interop.language.naming import weight_map as map_names
from flamingo_jax.interop.weight_map import Drop, WeightMap
from flamingo_jax.models.language.decoder_config import DecoderConfig

# The decoder alone or in a whole checkpoint, and within multimodal ones (Gemma 3), as older and newer versions write.
_PREFIXES = ("model.", "", "language_model.model.", "model.language_model.")
_HEADS = ("lm_head.weight", "language_model.lm_head.weight")
_MODULES = {
    "attention_norm": "input_layernorm",
    "query": "self_attn.q_proj",
    "key": "self_attn.k_proj",
    "value": "self_attn.v_proj",
    "query_norm": "self_attn.q_norm",
    "key_norm": "self_attn.k_norm",
    "output": "self_attn.o_proj",
    "dense_norm": "post_attention_layernorm",
    "gate": "mlp.gate_proj",
    "up": "mlp.up_proj",
    "down": "mlp.down_proj",
}
# Gemma 2 and 3 call the norm after attention what the others call the one before the dense branch.
_POST_NORMS = {
    "attention_post_norm": "post_attention_layernorm",
    "dense_norm": "pre_feedforward_layernorm",
    "dense_post_norm": "post_feedforward_layernorm",
}
_MULTIMODAL = Drop(
    r"(model\.)?(vision_tower|multi_modal_projector)\..*", "of a multimodal checkpoint, only the language model is read"
)


def weight_map(config: DecoderConfig, names: Container[str] = ()) -> WeightMap:
    """The weight map of a file with these tensor names; of a whole checkpoint (`model.layers...`) without them.

    Raises:
      WeightsError: such files have no place for a parameter of the config.
    """
    prefix = find_prefix(names, "embed_tokens.weight", _PREFIXES)
    head = next((name for name in _HEADS if name in names), _HEADS[0])
    modules = _MODULES | (_POST_NORMS if config.post_norms else {})
    table = {
        "embedding": f"{prefix}embed_tokens",
        "final_norm": f"{prefix}norm",
        "output_embedding": head.removesuffix(".weight"),
        **{f"layers/{ours}": f"{prefix}layers.{{}}.{theirs}" for ours, theirs in modules.items()},
    }
    drops = (ROTARY_BUFFERS, *tied_copy(config, *_HEADS))
    return map_names(config, table, (*drops, _MULTIMODAL) if "language_model." in prefix else drops)
