"""Golden logits of a tiny random GPT-2, from transformers.

Environment: `tests/goldens/requirements.txt`. Command, from the repository root:

    goldenenv/bin/python tests/goldens/make_gpt2.py

Writes `gpt2.npz`; see `make_llama_like.py` for what is in it. With padding on the left the peer is given the positions
that `generate` gives it: GPT-2 would count the padding.
"""

import transformers
from language_golden import LENGTH, VOCAB_SIZE, golden, write


def main() -> None:
    """Makes the file."""
    config = transformers.GPT2Config(
        vocab_size=VOCAB_SIZE,
        n_positions=LENGTH,
        n_embd=32,
        n_layer=2,
        n_head=4,
        n_inner=40,
        layer_norm_epsilon=1e-2,
        eos_token_id=1,
        attn_implementation="eager",
    )
    model = transformers.GPT2LMHeadModel(config)
    write("gpt2", {"tied": golden(model, matters={"activation_function": "relu"}, give_positions=True)})


if __name__ == "__main__":
    main()
