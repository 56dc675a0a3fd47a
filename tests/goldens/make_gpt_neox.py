"""Golden logits of tiny random GPT-NeoX models, from transformers.

Environment: `tests/goldens/requirements.txt`. Command, from the repository root:

    goldenenv/bin/python tests/goldens/make_gpt_neox.py

Writes `gpt_neox.npz` with the variants `parallel` (Pythia: parallel residual, a quarter of each head turns) and
`sequential` (RedPajama-INCITE: no parallel residual, whole heads turn); see `make_llama_like.py` for what is in it.
"""

import transformers
from language_golden import VOCAB_SIZE, golden, write

SIZES = {
    "vocab_size": VOCAB_SIZE,
    "hidden_size": 32,
    "intermediate_size": 40,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "max_position_embeddings": 64,
    "layer_norm_eps": 1e-2,
    "attn_implementation": "eager",
}


def model(parallel: bool, fraction: float) -> transformers.GPTNeoXForCausalLM:
    rope = {"rope_type": "default", "rope_theta": 500.0, "partial_rotary_factor": fraction}
    config = transformers.GPTNeoXConfig(**SIZES, use_parallel_residual=parallel, rope_parameters=rope)
    return transformers.GPTNeoXForCausalLM(config)


def main() -> None:
    """Makes the file."""
    whole = {"rope_type": "default", "rope_theta": 500.0, "partial_rotary_factor": 1.0}
    matters = {"use_parallel_residual": False, "rope_parameters": whole, "hidden_act": "relu"}
    write("gpt_neox", {"parallel": golden(model(True, 0.25), matters=matters), "sequential": golden(model(False, 1.0))})


if __name__ == "__main__":
    main()
