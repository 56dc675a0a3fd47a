"""The families of language models as choices of a decoder's fields, sizes apart."""

PLAIN = {"gated_dense": False, "qkv_bias": True, "output_bias": True, "dense_bias": True}
FAMILIES = {
    "chinchilla": {"positions": "relative", "gated_dense": False, "activation": "gelu"},
    "llama": {"tied_embeddings": False},
    "llama 3, grouped queries": {"num_kv_heads": 2},
    "mistral": {"num_kv_heads": 2, "windows": (5,)},
    "qwen 2": {"num_kv_heads": 2, "qkv_bias": True},
    "qwen 3": {"num_kv_heads": 2, "qk_norm": "head"},
    "gemma": {"num_kv_heads": 1, "norm": "rms_offset", "activation": "gelu_tanh"},
    "gemma 2": {
        "num_kv_heads": 2,
        "norm": "rms_offset",
        "post_norms": True,
        "attention_softcap": 50.0,
        "logit_softcap": 30.0,
        "windows": (5, 0),
    },
    "gemma 3": {
        "num_kv_heads": 1,
        "norm": "rms_offset",
        "post_norms": True,
        "qk_norm": "head",
        "windows": (5, 5, 0),
    },
    "gpt-neox": PLAIN | {"norm": "layer", "parallel_residual": True, "rotary_fraction": 0.25},
    "opt": PLAIN | {"norm": "layer", "positions": "learned", "position_offset": 2, "activation": "relu"},
    "mpt": {"norm": "layer_no_bias", "positions": "alibi", "gated_dense": False},
    "gpt-2": PLAIN | {"norm": "layer", "positions": "learned", "activation": "gelu_tanh"},
}
