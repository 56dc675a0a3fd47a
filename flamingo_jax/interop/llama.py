"""Llama-family decoders from Hugging Face files and from GGUF: the same tensors under two sets of names."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from flamingo_jax.interop.weight_map import Entry, Shape, WeightMap, as_is, kernel
from flamingo_jax.models.language.decoder import DecoderConfig


class _Names(NamedTuple):
    layer: str
    tensors: Mapping[str, str]


_LAYER_PATHS = {
    "attention_norm/scale": as_is,
    "query/kernel": kernel,
    "key/kernel": kernel,
    "value/kernel": kernel,
    "output/kernel": kernel,
    "dense_norm/scale": as_is,
    "gate/kernel": kernel,
    "up/kernel": kernel,
    "down/kernel": kernel,
}

HUGGING_FACE = _Names(
    "model.layers.{}.",
    {
        "attention_norm/scale": "input_layernorm",
        "query/kernel": "self_attn.q_proj",
        "key/kernel": "self_attn.k_proj",
        "value/kernel": "self_attn.v_proj",
        "output/kernel": "self_attn.o_proj",
        "dense_norm/scale": "post_attention_layernorm",
        "gate/kernel": "mlp.gate_proj",
        "up/kernel": "mlp.up_proj",
        "down/kernel": "mlp.down_proj",
        "embedding": "model.embed_tokens",
        "final_norm/scale": "model.norm",
        "output_embedding": "lm_head",
    },
)

GGUF = _Names(
    "blk.{}.",
    {
        "attention_norm/scale": "attn_norm",
        "query/kernel": "attn_q",
        "key/kernel": "attn_k",
        "value/kernel": "attn_v",
        "output/kernel": "attn_output",
        "dense_norm/scale": "ffn_norm",
        "gate/kernel": "ffn_gate",
        "up/kernel": "ffn_up",
        "down/kernel": "ffn_down",
        "embedding": "token_embd",
        "final_norm/scale": "output_norm",
        "output_embedding": "output",
    },
)


def weight_map(config: DecoderConfig, names: _Names) -> WeightMap:
    """Where each parameter of a decoder comes from; those of layers under `layers/`, stacked in the peer's order."""

    def entry(path, prefix, convert):
        return Entry(f"{prefix}{names.tensors[path]}.weight", convert)

    heads = {"query/kernel": config.num_heads, "key/kernel": config.num_kv_heads}
    weights: dict[str, Entry | list[Entry]] = {}
    for path, convert in _LAYER_PATHS.items():
        if names is GGUF and path in heads:
            convert = _unpermuted(heads[path])
        prefixes = [names.layer.format(layer) for layer in range(config.num_layers)]
        weights[f"layers/{path}"] = [entry(path, prefix, convert) for prefix in prefixes]
    tables = ["embedding", "final_norm/scale"] + ([] if config.tied_embeddings else ["output_embedding"])
    return weights | {path: entry(path, "", as_is) for path in tables}


def _unpermuted(num_heads: int):
    """llama.cpp stores the rows of q and k so that rotary pairs are neighbours; rotate-half wants the halves apart."""

    def convert(tensor: np.ndarray, shape: Shape) -> np.ndarray:
        if tensor.shape[0] % (2 * num_heads):
            return tensor  # misshapen: reported by the reader, with the names
        pairs = tensor.reshape(num_heads, tensor.shape[0] // num_heads // 2, 2, tensor.shape[1])
        return kernel(pairs.swapaxes(1, 2).reshape(tensor.shape), shape)

    return convert
