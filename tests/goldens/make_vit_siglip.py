"""Golden features of tiny random SigLIP and SigLIP2 image towers, from transformers.

Environment: `tests/goldens/requirements.txt`. Command, from the repository root:

    goldenenv/bin/python tests/goldens/make_vit_siglip.py

Writes `vit_siglip.npz`. `images` uint8 [2, 30, 30, 3] are of the trained size, which 7-pixel patches do not divide (nor
do SigLIP-so400m's 14 its 384), and `others` [1, 24, 38, 3] of another, which they do not divide either. `wholes`
[1, 21, 42, 3] are for NaFlex, which takes whole patches alone. For each case of `configs` (JSON: case -> config.json):
`<case>/features` and `<case>/others` float32 (of NaFlex: of `wholes`) after the last norm, and `<case>/weights/...`
under transformers' names. `siglip` is a SiglipModel with its text tower, the class of SigLIP2 of one resolution too;
`naflex` is a Siglip2VisionModel, fed as its processor feeds it: with patches, and with padding after them.
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
from transformers.models.siglip2 import image_processing_siglip2

MEAN = SCALE = (127.5, 127.5, 127.5)
IMAGES, OTHERS, WHOLES = vit_golden.images((2, 30, 30, 3), (1, 24, 38, 3), (1, 21, 42, 3))
SIZES = {"hidden_size": 24, "intermediate_size": 40, "num_hidden_layers": 2, "num_attention_heads": 4, "patch_size": 7}
TEXT = {"vocab_size": 8, "hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
PADDING = 3


def siglip() -> tuple[torch.nn.Module, dict[str, torch.Tensor]]:
    """The model and its features."""
    text = transformers.SiglipTextConfig(**TEXT, bos_token_id=0, eos_token_id=1, max_position_embeddings=4)
    vision = transformers.SiglipVisionConfig(**SIZES, image_size=30)
    model = transformers.SiglipModel(transformers.SiglipConfig(text_config=text, vision_config=vision)).float().eval()
    vit_golden.draw(model, 0)
    features = {}
    for name, batch in (("features", IMAGES), ("others", OTHERS)):
        inputs = torch.from_numpy(vit_golden.pixels(batch, MEAN, SCALE))
        output = model.vision_model(inputs, interpolate_pos_encoding=name == "others")
        features[name] = output.last_hidden_state
    return model, features


def naflex() -> tuple[torch.nn.Module, dict[str, torch.Tensor]]:
    """The model and its features, those of the padding left out."""
    config = transformers.Siglip2VisionConfig(**SIZES, num_patches=16)
    model = transformers.Siglip2VisionModel(config).float().eval()
    vit_golden.draw(model, 1)
    features = {}
    for name, batch in (("features", IMAGES[:, :28, :28]), ("others", WHOLES)):
        patches = torch.stack(
            [
                image_processing_siglip2.convert_image_to_patches(torch.from_numpy(image), SIZES["patch_size"])
                for image in vit_golden.pixels(batch, MEAN, SCALE)
            ]
        )
        count = patches.shape[1]
        mask = torch.ones(len(patches), count + PADDING)
        mask[:, count:] = 0
        output = model(
            torch.nn.functional.pad(patches, (0, 0, 0, PADDING)),
            pixel_attention_mask=mask,
            spatial_shapes=torch.tensor([[side // SIZES["patch_size"] for side in batch.shape[1:3]]] * len(batch)),
        )
        features[name] = output.last_hidden_state[:, :count]
    return model, features


def main() -> None:
    """Runs both and writes the golden."""
    arrays, configs = {"images": IMAGES, "others": OTHERS, "wholes": WHOLES}, {}
    for case, run in (("siglip", siglip), ("naflex", naflex)):
        with torch.no_grad():
            model, features = run()
        arrays |= {f"{case}/{name}": value.numpy() for name, value in features.items()}
        configs[case] = model.config.to_dict()
        with tempfile.TemporaryDirectory() as folder:
            model.save_pretrained(folder)
            weights = safetensors.numpy.load_file(Path(folder) / "model.safetensors")
        arrays |= {f"{case}/weights/{name}": np.asarray(value) for name, value in weights.items()}
    vit_golden.save("vit_siglip", arrays, configs)


if __name__ == "__main__":
    main()
