"""Golden features of tiny random CLIP image towers, from transformers and from open_clip.

Environment: `tests/goldens/requirements.txt`. Command, from the repository root:

    goldenenv/bin/python tests/goldens/make_vit_clip.py

Writes `vit_clip.npz`. `images` uint8 [2, 30, 30, 3] are of the trained size, which 7-pixel patches do not divide, and
`others` [1, 21, 35, 3] of another. For each case of `configs` (JSON: case -> config.json or open_clip_config.json):
`<case>/features` and `<case>/others` float32, all tokens of both after the last layer and before the last norm, and
`<case>/normed`, the features after it. Weights `<set>/weights/...` under the peers' names, text tower and all, are
those of several cases: `transformers` of `quick_gelu` and `gelu`, `open_clip` of `openai` and `laion`, `bare` of `bare`
(no norm before the layers, layer scale, epsilon 1e-6: what open_clip's config can also say).
"""

import tempfile
from pathlib import Path

import torchvision_on_cpu  # noqa: F401 (the peers come after it)

# isort: split
import numpy as np
import open_clip.model
import safetensors.numpy
import torch
import transformers
import vit_golden

MEAN = (122.7709383, 116.7460125, 104.09373615)
SCALE = (68.5005327, 66.6321579, 70.32316305)
IMAGES, OTHERS = vit_golden.images((2, 30, 30, 3), (1, 21, 35, 3))
TEXT = {"vocab_size": 8, "hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
VISION = {
    "hidden_size": 24,
    "intermediate_size": 40,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "image_size": 30,
    "patch_size": 7,
}
OPEN_VISION = {"image_size": 30, "layers": 2, "width": 24, "head_width": 6, "patch_size": 7, "mlp_ratio": 1.67}
OPEN_TEXT = {"context_length": 4, "vocab_size": 8, "width": 8, "heads": 2, "layers": 1}
OPEN_CASES = {
    "openai": ("open_clip", {"quick_gelu": True, "vision_cfg": OPEN_VISION}),
    "laion": ("open_clip", {"vision_cfg": OPEN_VISION}),
    "bare": (
        "bare",
        {
            "vision_cfg": {
                **OPEN_VISION,
                "no_ln_pre": True,
                "ls_init_value": 1.0,
                "act_kwargs": {"approximate": "tanh"},
                "norm_kwargs": {"eps": 1e-6},
            }
        },
    ),
}


def of_transformers(activation: str) -> tuple[dict, dict[str, np.ndarray], dict[str, np.ndarray]]:
    """config.json, weights as transformers saves them, and features."""
    text = transformers.CLIPTextConfig(**TEXT, bos_token_id=0, eos_token_id=1, max_position_embeddings=4)
    vision = transformers.CLIPVisionConfig(**VISION, hidden_act=activation)
    config = transformers.CLIPConfig(text_config=text, vision_config=vision, projection_dim=8)
    model = transformers.CLIPModel(config).float().eval()
    vit_golden.draw(model, 0)
    features = {}
    with torch.no_grad():
        for name, batch in (("features", IMAGES), ("others", OTHERS)):
            inputs = torch.from_numpy(vit_golden.pixels(batch, MEAN, SCALE))
            output = model.vision_model(inputs, interpolate_pos_encoding=True)
            features[name] = output.last_hidden_state
        features["normed"] = model.vision_model.post_layernorm(features["features"])
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        weights = safetensors.numpy.load_file(Path(folder) / "model.safetensors")
    return model.config.to_dict(), weights, {name: value.numpy() for name, value in features.items()}


def of_open_clip(settings: dict) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Weights and features. For the other size, open_clip resizes the positions when it loads the weights."""
    settings = {"embed_dim": 8, "text_cfg": OPEN_TEXT, **settings}
    model = open_clip.model.CLIP(**settings).float().eval()
    vit_golden.draw(model, 1)
    weights = model.state_dict()
    resized = {**settings, "vision_cfg": {**settings["vision_cfg"], "image_size": OTHERS.shape[1:3]}}
    other = open_clip.model.CLIP(**resized).float().eval()
    state = dict(weights)
    open_clip.model.resize_pos_embed(state, other)
    other.load_state_dict(state)
    features = {}
    for name, tower, batch in (("features", model.visual, IMAGES), ("others", other.visual, OTHERS)):
        tower.ln_post.register_forward_hook(
            lambda module, inputs, output, name=name: features.update({name: inputs[0], f"{name}_normed": output})
        )
        with torch.no_grad():
            tower(torch.from_numpy(vit_golden.pixels(batch, MEAN, SCALE)))
    features["normed"] = features.pop("features_normed")
    del features["others_normed"]
    return {name: value.numpy() for name, value in weights.items()}, {k: v.numpy() for k, v in features.items()}


def main() -> None:
    """Runs every case and writes the golden."""
    arrays, configs = {"images": IMAGES, "others": OTHERS}, {}
    for case in ("quick_gelu", "gelu"):
        configs[case], weights, features = of_transformers(case)
        arrays |= {f"transformers/weights/{name}": value for name, value in weights.items()}
        arrays |= {f"{case}/{name}": value for name, value in features.items()}
    for case, (weight_set, settings) in OPEN_CASES.items():
        configs[case] = {"model_cfg": {"embed_dim": 8, **settings}}
        weights, features = of_open_clip(settings)
        arrays |= {f"{weight_set}/weights/{name}": value for name, value in weights.items()}
        arrays |= {f"{case}/{name}": value for name, value in features.items()}
    vit_golden.save("vit_clip", arrays, configs)


if __name__ == "__main__":
    main()
