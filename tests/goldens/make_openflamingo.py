"""Golden logits of whole OpenFlamingo models, tiny and random, with each kind of language model that hosts it.

Environment: `tests/goldens/requirements.txt` (with the `--no-deps` lines). Command, from the repository root:

    goldenenv/bin/python tests/goldens/make_openflamingo.py

Writes `openflamingo_HOST.npz` for llama (a block before every 2nd layer), mpt (every), neox (every 2nd) and opt (every
3rd), all of 4 layers. Weights and logits are the peer's, built as its factory builds them; the vision encoder is an
OpenAI-style CLIP (QuickGELU) whose patch tokens skip the last layer norm, as they did in the package that the releases
were trained with (open_clip before 2.23; `final_ln_after_pool` brings that back). Resampler and blocks are smaller:
2 layers, 4 latents and heads of 4 channels in place of 6, 64 and 64; their number of heads, 8, is the peer's.

- `config`: JSON of `language` (the host's config.json), `rows` (of its embedding table after the new tokens went in,
  `<|endofchunk|>`, `<image>` and, but for opt, `<PAD>`), `new_tokens`, `image_token`, `every`, `vision` (open_clip's
  arguments).
- `state/NAME`: every tensor of the model once, as float16 that holds the float32 numbers exactly.
- `full`: JSON, name in the peer's whole `state_dict` -> NAME above: it holds many tensors several times.
- `released`: JSON, name that the peer's trainer saves -> NAME above. GPT-NeoX's head is called `embed_out` here, as in
  the transformers of that time: the trainer keeps it for the `embed` in its name.
- `base`: JSON, name in the language model's own checkpoint -> NAME; its embedding tables, which have other rows, are
  `base/NAME` [vocabulary, width]. The tables of mpt and neox are padded: the peer cuts them to the tokenizer's length.
- `images` uint8 [3, 3, 8, 8, 3]: rows of 0, 1 and 3 images; the rest is noise that nothing may see.
- for SIDE in left, right (the padding): `SIDE/tokens` [3, 14], `SIDE/mask` [3, 14], `SIDE/logits` [3, 14, rows].
"""

import functools
import json
import pathlib
import sys
import types

import numpy as np
import torch
import torchvision_on_cpu  # noqa: F401 (before open_clip)
import transformers
from open_clip.transformer import QuickGELU, VisionTransformer
from open_flamingo.src import factory, flamingo, flamingo_lm, helpers, utils

sys.modules["wandb"] = types.ModuleType("wandb")  # the trainer's module imports it; nothing here logs
from open_flamingo.train.train_utils import filter_state_dict_to_trainable  # noqa: E402

del sys.modules["wandb"]  # others look whether it is there

HERE = pathlib.Path(__file__).parent
WIDTH, LAYERS, HEADS, VOCABULARY, PADDED, LENGTH = 24, 4, 3, 37, 48, 14
VISION = {"image_size": 8, "patch_size": 4, "width": 16, "layers": 2, "heads": 2, "mlp_ratio": 4.0, "output_dim": 8}
PIXEL_MEAN, PIXEL_SCALE = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)  # OpenAI's CLIP
RESAMPLER = {"depth": 2, "num_latents": 4, "dim_head": 4}
BLOCK = {"dim_head": 4}


def hosts() -> dict[str, tuple[transformers.PreTrainedConfig, int, int, int]]:
    """Per host: the language model's config, rows of its table with the new tokens, how many are new, blocks every."""
    sizes = {"hidden_size": WIDTH, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS}
    short = {"max_position_embeddings": 64}
    llama = transformers.LlamaConfig(
        vocab_size=VOCABULARY, intermediate_size=40, tie_word_embeddings=False, rms_norm_eps=1e-6, **sizes, **short
    )
    mpt = transformers.MptConfig(
        vocab_size=PADDED, d_model=WIDTH, n_layers=LAYERS, n_heads=HEADS, max_seq_len=64, tie_word_embeddings=True
    )
    neox = transformers.GPTNeoXConfig(
        vocab_size=PADDED, intermediate_size=40, rotary_pct=0.25, tie_word_embeddings=False, **sizes, **short
    )
    opt = transformers.OPTConfig(
        vocab_size=VOCABULARY, ffn_dim=40, word_embed_proj_dim=WIDTH, tie_word_embeddings=True, **sizes, **short
    )
    return {
        "llama": (llama, VOCABULARY + 3, 3, 2),
        "mpt": (mpt, 41, 3, 1),
        "neox": (neox, 41, 3, 2),
        "opt": (opt, VOCABULARY + 2, 2, 3),
    }


def randomize(module: torch.nn.Module) -> None:
    """Draws norms around 1, biases that matter and the rest wide, all exact in float16; gates away from 0."""
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if "gate" in name.rsplit(".", 1)[-1]:
                parameter.copy_(torch.empty_like(parameter).uniform_(0.4, 1.2) * torch.randn_like(parameter).sign())
            elif parameter.dim() == 1 and name.endswith("weight"):
                parameter.uniform_(0.5, 1.5)
            else:
                parameter.normal_(0, 0.25)
            parameter.copy_(parameter.half())


def build(config: transformers.PreTrainedConfig, rows: int, new_tokens: int, every: int):
    """The peer's model with random weights, as its factory makes it, and the language model's tables before that."""
    vision = VisionTransformer(**VISION, act_layer=QuickGELU, output_tokens=True, final_ln_after_pool=True)
    language = transformers.AutoModelForCausalLM.from_config(config, attn_implementation="eager").float()
    randomize(language)
    tables = {
        name: tensor.numpy().astype(np.float16)
        for name, tensor in language.state_dict().items()
        if tensor.shape[0] == config.vocab_size
    }
    utils.extend_instance(language, flamingo_lm.FlamingoLMMixin)
    language.set_decoder_layers_attr_name(factory._infer_decoder_layers_attr_name(language))
    language.resize_token_embeddings(rows, mean_resizing=False)
    flamingo.PerceiverResampler = functools.partial(helpers.PerceiverResampler, **RESAMPLER)
    flamingo_lm.GatedCrossAttentionBlock = functools.partial(helpers.GatedCrossAttentionBlock, **BLOCK)
    first_new = rows - new_tokens
    model = flamingo.Flamingo(
        types.SimpleNamespace(visual=vision),
        language,
        eoc_token_id=first_new,
        media_token_id=first_new + 1,
        vis_dim=VISION["width"],
        cross_attn_every_n_layers=every,
    )
    model.requires_grad_(False)
    model.perceiver.requires_grad_(True)
    model.lang_encoder.gated_cross_attn_layers.requires_grad_(True)
    model.lang_encoder.get_input_embeddings().requires_grad_(True)
    randomize(model)
    if not config.tie_word_embeddings:  # the head is frozen, but for what the new tokens did to it
        old = torch.from_numpy(tables["lm_head.weight"]).float()[:first_new]
        language.lm_head.weight.data[: len(old)] = old
    return model.eval(), tables


def prompts(rows: int, new_tokens: int, random: np.random.Generator) -> list[np.ndarray]:
    """A text without images, one with text before its image, and three images of which one follows another."""
    end, image = rows - new_tokens, rows - new_tokens + 1
    words = [random.integers(1, rows - new_tokens, LENGTH) for _ in range(3)]
    words[0], words[1] = words[0][:8], words[1][:10]
    words[0][4] = end
    words[1][[3, 7]] = image, end
    words[2][[0, 4, 5, 10]] = image, end, image, image
    return words


def padded(words: list[np.ndarray], side: str) -> tuple[np.ndarray, np.ndarray]:
    """Tokens and mask of a batch; what stands in the padding is an ordinary token, so that it would show if seen."""
    tokens, mask = np.full((len(words), LENGTH), 5), np.zeros((len(words), LENGTH), int)
    for row, text in enumerate(words):
        place = slice(LENGTH - len(text), LENGTH) if side == "left" else slice(len(text))
        tokens[row, place], mask[row, place] = text, 1
    return tokens, mask


def trainable(model: torch.nn.Module, full: dict[str, str]) -> dict[str, str]:
    """What the peer's trainer saves of the model."""
    head = model.lang_encoder.lm_head
    if model.lang_encoder.config.model_type == "gpt_neox":
        del model.lang_encoder.lm_head
        model.lang_encoder.embed_out = head
    names = filter_state_dict_to_trainable(model, model.state_dict())
    if not hasattr(model.lang_encoder, "lm_head"):
        del model.lang_encoder.embed_out
        model.lang_encoder.lm_head = head
    return {name: full[name.replace("embed_out", "lm_head")] for name in names}


def plain_names(model: torch.nn.Module, config: transformers.PreTrainedConfig) -> dict[str, str]:
    """For each tensor of the language model's own checkpoint, the name of the tensor of the whole model that it is."""
    names = transformers.AutoModelForCausalLM.from_config(config).state_dict().keys()
    path = model.lang_encoder.decoder_layers_attr_name
    result = {}
    for name in names:
        rest = name.removeprefix(f"{path}.")
        layer, _, tail = rest.partition(".")
        inner = f"{path}.{layer}.decoder_layer.{tail}" if rest != name else name
        result[name] = f"lang_encoder.{inner}"
    return result


def make(host: str, config: transformers.PreTrainedConfig, rows: int, new_tokens: int, every: int) -> None:
    """Runs one host and writes its golden."""
    torch.manual_seed(sum(map(ord, host)))
    random = np.random.default_rng(0)
    language = json.loads(config.to_json_string(use_diff=False))
    model, tables = build(config, rows, new_tokens, every)
    images = random.integers(0, 256, (3, 3, 8, 8, 3), dtype=np.uint8)
    pixels = (torch.from_numpy(images).float() / 255 - torch.tensor(PIXEL_MEAN)) / torch.tensor(PIXEL_SCALE)
    vision_x = pixels.permute(0, 1, 4, 2, 3)[:, :, None]

    state = model.state_dict()
    stored, full, arrays = {}, {}, {}
    for name, tensor in state.items():
        key = stored.setdefault((tensor.data_ptr(), tuple(tensor.shape)), name)
        full[name] = key
        arrays[f"state/{key}"] = tensor.numpy().astype(np.float16)
        assert (arrays[f"state/{key}"].astype(np.float32) == tensor.numpy()).all(), name
    released = trainable(model, full)
    base = {}
    for name, inner in plain_names(model, config).items():
        base[name] = full[inner]
        if name in tables:
            arrays[f"base/{full[inner]}"] = tables[name]
            base[name] = f"base/{full[inner]}"

    words = prompts(rows, new_tokens, random)
    for side in ("left", "right"):
        tokens, mask = padded(words, side)
        with torch.no_grad():
            out = model(vision_x, torch.from_numpy(tokens), attention_mask=torch.from_numpy(mask))
        arrays |= {f"{side}/tokens": tokens.astype(np.int32), f"{side}/mask": mask.astype(np.int32)}
        arrays[f"{side}/logits"] = out.logits.numpy()
        seen = out.logits[torch.from_numpy(mask) > 0]
        print(f"{host} {side}: {len(state)} names, {len(released)} released, logits +-{seen.std():.2f}")
    summary = {"language": language, "rows": rows, "new_tokens": new_tokens, "image_token": rows - new_tokens + 1}
    summary |= {"every": every, "vision": VISION}
    for key, value in {"config": summary, "full": full, "released": released, "base": base}.items():
        arrays[key] = np.array(json.dumps(value))
    np.savez_compressed(HERE / f"openflamingo_{host}.npz", images=images, **arrays)


def main() -> None:
    """Makes all hosts, or those named on the command line."""
    for host, arguments in hosts().items():
        if not sys.argv[1:] or host in sys.argv[1:]:
            make(host, *arguments)


if __name__ == "__main__":
    main()
