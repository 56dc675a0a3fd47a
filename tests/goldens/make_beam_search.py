"""Golden beam searches of a tiny random Llama, from transformers.

Environment: `tests/goldens/requirements.txt`. Command, from the repository root:

    goldenenv/bin/python tests/goldens/make_beam_search.py

Writes `beam_search.npz`: `config` (as in a config.json) and `weights/...` (under the names of a safetensors file);
`tokens` and `mask` [prompts, length], padded on the left; `stops`; and for each case
`<beams>/<length penalty>/<early stopping>` its `tokens` [prompts, new], -1 after the first stop, and `scores`
[prompts], log-likelihood over length to the power of the penalty. All float32.
"""

import json

import numpy as np
import torch
import transformers
from language_golden import HERE, draw, saved

VOCAB_SIZE, NEW = 12, 12
STOPS = (1, 11)
PROMPTS, LONGEST = 16, 7
NEVER = "never"
CASES = (
    *((1, 0.0, False), (1, 1.0, False)),
    *((3, 0.0, False), (3, 1.0, False), (3, -0.5, False), (3, 2.0, False), (3, 1.0, NEVER), (3, 2.0, NEVER)),
    *((5, 0.0, False), (5, 1.0, False), (5, -0.5, False)),
)
"""Beams, length penalty, early stopping."""
LOGITS_SCALE = 1.2  # neither so flat that all answers are short, nor so steep that beams find what one finds


def make_model() -> transformers.LlamaForCausalLM:
    """Two layers, drawn wide; the scale of the logits is in the output table."""
    config = transformers.LlamaConfig(
        vocab_size=VOCAB_SIZE,
        hidden_size=32,
        intermediate_size=40,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=64,
        rms_norm_eps=1e-5,
        rope_parameters={"rope_type": "default", "rope_theta": 500.0},
        tie_word_embeddings=False,
        eos_token_id=None,
        attn_implementation="eager",
    )
    model = transformers.LlamaForCausalLM(config).float().eval()
    draw(model, seed=0)
    with torch.no_grad():
        model.lm_head.weight.mul_(LOGITS_SCALE)
    return model


def search(model, tokens, mask, beams: int, penalty: float, early: bool | str) -> tuple[np.ndarray, np.ndarray]:
    """Tokens, -1 after the first stop, and scores (recomputed from the model where transformers gives none)."""
    found = model.generate(
        torch.from_numpy(tokens),
        attention_mask=torch.from_numpy(mask),
        num_beams=beams,
        length_penalty=penalty,
        early_stopping=early,
        do_sample=False,
        max_new_tokens=NEW,
        eos_token_id=list(STOPS),
        pad_token_id=0,
        return_dict_in_generate=True,
        output_scores=True,
    )
    new = found.sequences[:, tokens.shape[1] :].numpy()
    new = np.pad(new, ((0, 0), (0, NEW - new.shape[1])), constant_values=0)
    ended = np.isin(new, STOPS)
    lengths = np.where(ended.any(axis=1), ended.argmax(axis=1) + 1, NEW)
    new = np.where(np.arange(NEW) < lengths[:, None], new, -1)
    totals = np.array([total(model, *row) for row in zip(tokens, mask, new, lengths, strict=True)])
    scores = totals / lengths**penalty
    if beams > 1:
        np.testing.assert_allclose(scores, found.sequences_scores.numpy(), rtol=1e-4)
    return new.astype(np.int32), scores.astype(np.float32)


def total(model, tokens, mask, new, length) -> float:
    """The log-likelihood of a continuation, from the whole row at once."""
    prompt = tokens[mask > 0]
    row = torch.from_numpy(np.concatenate([prompt, new[:length]]))[None]
    with torch.no_grad():
        scores = model(row).logits[0].log_softmax(-1)
    return sum(float(scores[len(prompt) - 1 + place, token]) for place, token in enumerate(new[:length]))


def main() -> None:
    """Makes the file."""
    model, rng = make_model(), np.random.default_rng(0)
    tokens = np.zeros((PROMPTS, LONGEST), np.int64)
    mask = np.zeros_like(tokens)
    for row in range(PROMPTS):
        length = rng.integers(1, LONGEST + 1)
        tokens[row, -length:] = rng.integers(2, VOCAB_SIZE - 1, length)
        mask[row, -length:] = 1
    config, tensors = saved(model)
    arrays = {"config": np.array(json.dumps(config)), "stops": np.array(STOPS, np.int32)}
    arrays |= {"tokens": tokens.astype(np.int32), "mask": mask.astype(np.int32)}
    arrays |= {f"weights/{name}": tensor for name, tensor in tensors.items()}
    found = {}
    for case in CASES:
        found[case] = search(model, tokens, mask, *case)
        name = "/".join(map(str, case))
        arrays |= dict(zip((f"{name}/tokens", f"{name}/scores"), found[case], strict=True))

    def differ(one, other) -> int:
        return int((found[one][0] != found[other][0]).any(axis=1).sum())

    lengths = (found[3, 0.0, False][0] >= 0).sum(axis=1)
    seen = {
        "beams": differ((1, 0.0, False), (3, 0.0, False)),
        "more beams": differ((3, 0.0, False), (5, 0.0, False)),
        "penalties": [differ((3, 0.0, False), (3, each, False)) for each in (1.0, -0.5, 2.0)],
        "patience": [differ((3, each, False), (3, each, NEVER)) for each in (1.0, 2.0)],
    }
    print("lengths", lengths, "rows that differ:", seen)
    assert len(set(lengths)) > 4 and max(lengths) == NEW, "continuations of all lengths are to be seen"
    assert all(map(np.all, seen.values())), "no row tells two cases apart"
    path = HERE / "beam_search.npz"
    np.savez_compressed(path, **arrays)
    print(f"{path.name}: {path.stat().st_size // 1024} kB")


if __name__ == "__main__":
    main()
