"""Golden logits of tiny random Llama, Mistral, Qwen 2 and Qwen 3 models, from transformers.

Environment: `tests/goldens/requirements.txt`. Command, from the repository root:

    goldenenv/bin/python tests/goldens/make_llama_like.py

Writes `llama.npz`, `mistral.npz`, `qwen2.npz` and `qwen3.npz`, each with `input_ids` [2, 12], `masks` [3, 2, 12] (no
padding, left, right) and for each variant its `config` (as in a config.json), its `weights/...` under the names of a
safetensors file, and `logits` [3, 2, 12, 61], 0 where there is padding. All float32. SmolLM2 is the variant `tied` of
Llama, Qwen 2.5 is Qwen 2.
"""

import transformers
from language_golden import VOCAB_SIZE, golden, write

SIZES = {
    "vocab_size": VOCAB_SIZE,
    "hidden_size": 32,
    "intermediate_size": 40,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "rms_norm_eps": 1e-2,
    "eos_token_id": None,
    "attn_implementation": "eager",
}
# Of the 4 frequencies of a head one is fast, one on the ramp, and two are slow.
LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 500.0,
    "factor": 4.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}
PLAIN = {"rope_type": "default", "rope_theta": 500.0}


def llama(**settings) -> transformers.LlamaForCausalLM:
    return transformers.LlamaForCausalLM(transformers.LlamaConfig(**SIZES | settings))


def main() -> None:
    """Makes the four files."""
    write(
        "llama",
        {
            "llama3": golden(
                llama(rope_parameters=LLAMA3, tie_word_embeddings=False),
                matters={"rope_parameters": PLAIN, "rms_norm_eps": 1e-5},
            ),
            "tied": golden(llama(rope_parameters=PLAIN, tie_word_embeddings=True, num_key_value_heads=1)),
            "biases": golden(
                llama(
                    rope_parameters=PLAIN | {"rope_type": "linear", "factor": 2.0},
                    attention_bias=True,
                    mlp_bias=True,
                    tie_word_embeddings=True,
                ),
                matters={"attention_bias": False, "mlp_bias": False, "rope_parameters": PLAIN},
            ),
        },
    )
    config = transformers.MistralConfig(**SIZES, rope_parameters=PLAIN, sliding_window=4, head_dim=6)
    model = transformers.MistralForCausalLM(config)
    write("mistral", {"window": golden(model, matters={"sliding_window": None})})
    qwen2 = SIZES | {"rope_parameters": PLAIN, "num_hidden_layers": 3}
    windows = {"use_sliding_window": True, "sliding_window": 4, "max_window_layers": 1}
    config = transformers.Qwen2Config(**qwen2, tie_word_embeddings=False, **windows)
    model = transformers.Qwen2ForCausalLM(config)
    window = golden(model, matters={"layer_types": ["full_attention", "full_attention", "sliding_attention"]})
    config = transformers.Qwen2Config(**qwen2 | {"num_hidden_layers": 2}, tie_word_embeddings=True)
    write("qwen2", {"window": window, "tied": golden(transformers.Qwen2ForCausalLM(config))})
    config = transformers.Qwen3Config(**SIZES, rope_parameters=PLAIN, head_dim=12, tie_word_embeddings=False)
    write("qwen3", {"untied": golden(transformers.Qwen3ForCausalLM(config))})


if __name__ == "__main__":
    main()
