"""Golden logits of tiny random Llama models, from transformers.

Environment: `tests/goldens/requirements.txt`. Command, from the repository root:

    goldenenv/bin/python tests/goldens/make_llama_tiny.py

Writes `llama_tiny.npz`: `input_ids` [2, 9], and for each of the variants `untied` and `tied` the weights under their
transformers names (`untied/model.layers.0.self_attn.q_proj.weight`, torch layout [out, in]), `<variant>/logits`
[2, 9, vocabulary] and `<variant>/hidden` [2, 9, width] (after the last norm), all float32. The tied variant has no
`lm_head.weight`. Norm weights are drawn around 1, so that a norm applied in the wrong place shows.
"""

import json
import pathlib

import numpy as np
import torch
import transformers

HERE = pathlib.Path(__file__).parent
CONFIG = {
    "vocab_size": 61,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0,
}


def main() -> None:
    """Builds both variants, runs them and writes the golden."""
    input_ids = np.random.default_rng(0).integers(0, CONFIG["vocab_size"], (2, 9), dtype=np.int32)
    arrays: dict[str, np.ndarray] = {"input_ids": input_ids, "config": np.array(json.dumps(CONFIG))}
    for seed, tied in enumerate((False, True)):
        variant = "tied" if tied else "untied"
        torch.manual_seed(seed)
        settings = {k: v for k, v in CONFIG.items() if k != "rope_theta"}
        rope = {"rope_type": "default", "rope_theta": CONFIG["rope_theta"]}
        config = transformers.LlamaConfig(
            **settings, rope_parameters=rope, tie_word_embeddings=tied, attn_implementation="eager"
        )
        model = transformers.LlamaForCausalLM(config).float().eval()
        for name, parameter in model.named_parameters():
            with torch.no_grad():
                if "norm" in name:
                    parameter.uniform_(0.5, 1.5)
                else:
                    parameter.normal_(0, 0.15)
        assert model.model.rotary_emb.config.rope_parameters["rope_theta"] == CONFIG["rope_theta"]
        with torch.no_grad():
            output = model(torch.from_numpy(input_ids).long(), output_hidden_states=True)
        for name, parameter in model.named_parameters():  # a tied lm_head is listed once, as embed_tokens
            arrays[f"{variant}/{name}"] = parameter.detach().numpy()
        arrays[f"{variant}/logits"] = output.logits.numpy()
        arrays[f"{variant}/hidden"] = output.hidden_states[-1].numpy()
    np.savez_compressed(HERE / "llama_tiny.npz", **arrays)


if __name__ == "__main__":
    main()
