"""Golden logits of tiny random Gemma 1, 2 and 3 (text) models, from transformers.

Environment: `tests/goldens/requirements.txt`. Command, from the repository root:

    goldenenv/bin/python tests/goldens/make_gemma.py

Writes `gemma.npz`, `gemma2.npz` and `gemma3.npz`; see `make_llama_like.py` for what is in them.
"""

import transformers
from language_golden import VOCAB_SIZE, golden, write

SIZES = {
    "vocab_size": VOCAB_SIZE,
    "hidden_size": 24,
    "intermediate_size": 32,
    "num_attention_heads": 3,
    "num_key_value_heads": 1,
    "head_dim": 10,
    "max_position_embeddings": 64,
    "rms_norm_eps": 1e-2,
    "attn_implementation": "eager",
}


def main() -> None:
    """Makes the three files."""
    rope = {"rope_type": "default", "rope_theta": 500.0}
    model = transformers.GemmaForCausalLM(transformers.GemmaConfig(**SIZES, num_hidden_layers=2, rope_parameters=rope))
    write("gemma", {"tied": golden(model, norm_center=0.0, matters={"hidden_act": "silu"})})
    config = transformers.Gemma2Config(
        **SIZES,
        num_hidden_layers=3,
        rope_parameters=rope,
        sliding_window=4,
        query_pre_attn_scalar=3,
        attn_logit_softcapping=2.0,
        final_logit_softcapping=15.0,
    )
    matters = {
        "layer_types": ["full_attention", "sliding_attention", "full_attention"],
        "query_pre_attn_scalar": 10,
        "attn_logit_softcapping": None,
        "final_logit_softcapping": None,
    }
    write("gemma2", {"tied": golden(transformers.Gemma2ForCausalLM(config), norm_center=0.0, matters=matters)})
    local = {"rope_type": "default", "rope_theta": 50.0}
    spread = {"rope_type": "linear", "factor": 4.0, "rope_theta": 500.0}
    config = transformers.Gemma3TextConfig(
        **SIZES,
        num_hidden_layers=7,
        sliding_window=4,
        query_pre_attn_scalar=6,
        rope_parameters={"full_attention": spread, "sliding_attention": local},
    )
    matters = {
        "layer_types": ["sliding_attention"] * 7,
        "query_pre_attn_scalar": 10,
        "rope_parameters": {"full_attention": rope, "sliding_attention": local},
    }
    write("gemma3", {"tied": golden(transformers.Gemma3ForCausalLM(config), norm_center=0.0, matters=matters)})


if __name__ == "__main__":
    main()
