"""Golden logits of tiny random OPT models, from transformers.

Environment: `tests/goldens/requirements.txt`. Command, from the repository root:

    goldenenv/bin/python tests/goldens/make_opt.py

Writes `opt.npz` with the variants `tied` (as released) and `no_bias` (untied, without biases); see `make_llama_like.py`
for what is in it. The peer counts positions from the attention mask.
"""

import transformers
from language_golden import LENGTH, VOCAB_SIZE, golden, write


def model(**settings) -> transformers.OPTForCausalLM:
    config = transformers.OPTConfig(
        vocab_size=VOCAB_SIZE,
        hidden_size=32,
        ffn_dim=40,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=LENGTH,
        attn_implementation="eager",
        **settings,
    )
    return transformers.OPTForCausalLM(config)


def main() -> None:
    """Makes the file."""
    tied = golden(model(), matters={"activation_function": "gelu", "enable_bias": False})
    untied = golden(model(enable_bias=False, tie_word_embeddings=False, activation_function="gelu"))
    write("opt", {"tied": tied, "no_bias": untied})


if __name__ == "__main__":
    main()
