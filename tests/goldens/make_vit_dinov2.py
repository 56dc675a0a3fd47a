"""Golden features of tiny random DINOv2 encoders, from transformers: plain, with registers, and gated.

Environment: `tests/goldens/requirements.txt`. Command, from the repository root:

    goldenenv/bin/python tests/goldens/make_vit_dinov2.py

Writes `vit_dinov2.npz`. `images` uint8 [2, 28, 28, 3] are of the trained size, and `others` [1, 24, 38, 3] of another,
which 7-pixel patches do not divide. For each case of `configs` (JSON: case -> config.json): `<case>/features` and
`<case>/others` float32, all tokens after the last norm, and `<case>/weights/...` under the names that it saves.
"""

import tempfile
from pathlib import Path

import torchvision_on_cpu  # noqa: F401 (the peers come after it)

# isort: split
import numpy as np
import safetensors.numpy
import torch
import transformers
import vit_golden

MEAN, SCALE = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
IMAGES, OTHERS = vit_golden.images((2, 28, 28, 3), (1, 24, 38, 3))
SIZES = {
    "hidden_size": 24,
    "mlp_ratio": 2,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "image_size": 28,
    "patch_size": 7,
}


def models() -> dict[str, torch.nn.Module]:
    """One model a case."""
    registers = transformers.Dinov2WithRegistersConfig(**SIZES, num_register_tokens=3)
    return {
        "plain": transformers.Dinov2Model(transformers.Dinov2Config(**SIZES)),
        "registers": transformers.Dinov2WithRegistersModel(registers),
        "gated": transformers.Dinov2Model(transformers.Dinov2Config(**SIZES, use_swiglu_ffn=True)),
    }


def main() -> None:
    """Runs every case and writes the golden."""
    arrays, configs = {"images": IMAGES, "others": OTHERS}, {}
    for seed, (case, model) in enumerate(models().items()):
        model = model.float().eval()
        vit_golden.draw(model, seed)
        for name, batch in (("features", IMAGES), ("others", OTHERS)):
            with torch.no_grad():
                output = model(torch.from_numpy(vit_golden.pixels(batch, MEAN, SCALE)))
            arrays[f"{case}/{name}"] = output.last_hidden_state.numpy()
        configs[case] = model.config.to_dict()
        with tempfile.TemporaryDirectory() as folder:
            model.save_pretrained(folder)
            weights = safetensors.numpy.load_file(Path(folder) / "model.safetensors")
        arrays |= {f"{case}/weights/{name}": np.asarray(value) for name, value in weights.items()}
    vit_golden.save("vit_dinov2", arrays, configs)


if __name__ == "__main__":
    main()
