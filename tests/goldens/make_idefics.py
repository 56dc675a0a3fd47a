"""Golden logits of whole IDEFICS models, tiny and random, from transformers.

Environment: `tests/goldens/requirements.txt`. Command, from the repository root:

    goldenenv/bin/python tests/goldens/make_idefics.py

Writes `idefics_float.npz` (gates are scalars, a block before layers 0 and 2 of 4, RMS epsilon 1e-6, as in the 9B) and
`idefics_vector.npz` (a gate per channel, a block before every layer, 1e-5, as in the 80B), with resampler, norms of
queries and keys in both kinds of attention, and two additional tokens, `<fake_token_around_image>` and `<image>`:

- `config`: JSON, the model's config.json.
- `state/NAME`: its tensors under the names that `save_pretrained` writes, as float16 that holds the float32 numbers
  exactly.
- `images` uint8 [3, 3, 8, 8, 3]: rows of 0, 1 and 3 images; the rest is noise that nothing may see.
- for SIDE in left, right (the padding): `SIDE/tokens` [3, 16], `SIDE/mask` [3, 16], `SIDE/image_mask` [3, 16, 3] (1 for
  the last image before the token, none after an end of text), `SIDE/logits` [3, 16, vocabulary and additional tokens].
"""

import json
import pathlib
import tempfile

import numpy as np
import safetensors.torch
import torch
import torchvision_on_cpu  # noqa: F401 (transformers imports torchvision where it is installed)
import transformers

HERE = pathlib.Path(__file__).parent
VOCABULARY, LENGTH = 37, 16
END, FAKE, IMAGE = 2, VOCABULARY, VOCABULARY + 1
PIXEL_MEAN, PIXEL_SCALE = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
CONFIG = {
    "vocab_size": VOCABULARY,
    "additional_vocab_size": 2,
    "hidden_size": 24,
    "intermediate_size": 40,
    "num_hidden_layers": 4,
    "num_attention_heads": 3,
    "max_position_embeddings": 64,
    "qk_layer_norms": True,
    "use_resampler": True,
    "tie_word_embeddings": False,
}
VISION = {
    "embed_dim": 16,
    "image_size": 8,
    "intermediate_size": 40,
    "patch_size": 4,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
}
RESAMPLER = {
    "use_resampler": True,
    "resampler_n_latents": 4,
    "resampler_depth": 2,
    "resampler_n_heads": 2,
    "resampler_head_dim": 6,
    "qk_layer_norms_perceiver": True,
}
VARIANTS = {
    "float": {"cross_layer_interval": 2, "rms_norm_eps": 1e-6},
    "vector": {"cross_layer_interval": 1, "rms_norm_eps": 1e-5, "alpha_type": "vector"},
}


def randomize(module: torch.nn.Module) -> None:
    """Draws norms around 1, biases that matter and the rest wide, all exact in float16; gates away from 0."""
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if "alpha" in name:
                parameter.copy_(torch.empty_like(parameter).uniform_(0.4, 1.2) * torch.randn_like(parameter).sign())
            elif parameter.dim() == 1 and name.endswith("weight"):
                parameter.uniform_(0.5, 1.5)
            else:
                parameter.normal_(0, 0.25)
            parameter.copy_(parameter.half())


def prompts(random: np.random.Generator) -> list[np.ndarray]:
    """A text without images, one with text before its image, and three images with an end of text after the second."""
    words = [random.integers(3, VOCABULARY, LENGTH) for _ in range(3)]
    words[0], words[1] = words[0][:8], words[1][:11]
    words[1][3:6] = FAKE, IMAGE, FAKE
    words[2][[0, 1, 2, 4, 5, 6, 8, 11, 12, 13]] = FAKE, IMAGE, FAKE, FAKE, IMAGE, FAKE, END, FAKE, IMAGE, FAKE
    return words


def last_image(words: np.ndarray) -> np.ndarray:
    """[length, 3]: 1 where a token sees an image."""
    mask, seen, current = np.zeros((len(words), 3), int), 0, None
    for place, token in enumerate(words):
        if token == IMAGE:
            seen, current = seen + 1, seen
        if current is not None:
            mask[place, current] = 1
        if token == END:
            current = None
    return mask


def padded(words: list[np.ndarray], side: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Tokens, their mask and their images; what stands in the padding would show if seen."""
    tokens, mask = np.full((len(words), LENGTH), 5), np.zeros((len(words), LENGTH), int)
    images = np.zeros((len(words), LENGTH, 3), int)
    for row, text in enumerate(words):
        place = slice(LENGTH - len(text), LENGTH) if side == "left" else slice(len(text))
        tokens[row, place], mask[row, place], images[row, place] = text, 1, last_image(text)
    return tokens, mask, images


def make(variant: str) -> None:
    """Runs one variant and writes its golden."""
    torch.manual_seed(len(variant))
    random = np.random.default_rng(0)
    config = transformers.IdeficsConfig(
        **CONFIG, **VARIANTS[variant], vision_config=VISION, perceiver_config=RESAMPLER, attn_implementation="eager"
    )
    model = transformers.IdeficsForVisionText2Text(config).float().eval()
    randomize(model)
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        state = safetensors.torch.load_file(f"{folder}/model.safetensors")
        text = (pathlib.Path(folder) / "config.json").read_text()
    arrays = {f"state/{name}": tensor.numpy().astype(np.float16) for name, tensor in state.items()}
    assert all((arrays[f"state/{name}"].astype(np.float32) == tensor.numpy()).all() for name, tensor in state.items())
    arrays["config"] = np.array(json.dumps(json.loads(text)))

    arrays["images"] = random.integers(0, 256, (3, 3, 8, 8, 3), dtype=np.uint8)
    pixels = (torch.from_numpy(arrays["images"]).float() / 255 - torch.tensor(PIXEL_MEAN)) / torch.tensor(PIXEL_SCALE)
    words = prompts(random)
    for side in ("left", "right"):
        tokens, mask, image_mask = padded(words, side)
        with torch.no_grad():
            out = model(
                input_ids=torch.from_numpy(tokens),
                attention_mask=torch.from_numpy(mask),
                pixel_values=pixels.permute(0, 1, 4, 2, 3),
                image_attention_mask=torch.from_numpy(image_mask),
            )
        arrays |= {f"{side}/tokens": tokens.astype(np.int32), f"{side}/mask": mask.astype(np.int32)}
        arrays |= {f"{side}/image_mask": image_mask.astype(np.int32), f"{side}/logits": out.logits.numpy()}
        print(f"{variant} {side}: {len(state)} tensors, logits +-{out.logits[torch.from_numpy(mask) > 0].std():.2f}")
    np.savez_compressed(HERE / f"idefics_{variant}.npz", **arrays)


def main() -> None:
    """Makes both variants."""
    for variant in VARIANTS:
        make(variant)


if __name__ == "__main__":
    main()
