"""Golden features of tiny random Vision Transformers under timm's names, and of DINOv2 under those of its own files.

Environment: `tests/goldens/requirements.txt`. Command, from the repository root:

    goldenenv/bin/python tests/goldens/make_vit_timm.py

Writes `vit_timm.npz`. `images` uint8 [2, 28, 28, 3] are of the trained size and `others` [1, 21, 35, 3] of another. For
each case of `configs` (JSON: case -> timm's name of the model that was shrunk), `clip`, `siglip` and `dinov2`:
`<case>/features` and `<case>/others` float32, all tokens after the last norm, and `<case>/weights/...`.
`original/weights/...` are a DINOv2 with registers and a gated dense branch as its authors' files have it; timm's own
converter reads them for `original/features` and `original/others`.
"""

import torchvision_on_cpu  # noqa: F401 (the peers come after it)

# isort: split
import numpy as np
import timm
import torch
import vit_golden
from timm.models.vision_transformer import checkpoint_filter_fn

OPENAI = (122.7709383, 116.7460125, 104.09373615), (68.5005327, 66.6321579, 70.32316305)
SIGLIP = (127.5, 127.5, 127.5), (127.5, 127.5, 127.5)
IMAGENET = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
IMAGES, OTHERS = vit_golden.images((2, 28, 28, 3), (1, 21, 35, 3))
SIZES = {"img_size": 28, "patch_size": 7, "embed_dim": 24, "depth": 2, "num_heads": 4, "dynamic_img_size": True}
CASES = {
    "clip": ("vit_base_patch16_clip_quickgelu_224", OPENAI, {"num_classes": 5}),
    "siglip": ("vit_so400m_patch16_siglip_256", SIGLIP, {"num_classes": 0}),
    "dinov2": ("vit_giant_patch14_reg4_dinov2", IMAGENET, {"num_classes": 0, "reg_tokens": 3}),
}


def features(model: torch.nn.Module, normalization: tuple) -> dict[str, np.ndarray]:
    """All tokens of both batches, after the last norm."""
    found = {}
    for name, batch in (("features", IMAGES), ("others", OTHERS)):
        with torch.no_grad():
            found[name] = model.forward_features(torch.from_numpy(vit_golden.pixels(batch, *normalization))).numpy()
    return found


def original(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """A file of DINOv2's authors, by names and shapes, with the values of `model` where both have the tensor."""
    state = model.state_dict()
    names = {
        name: name.replace("reg_token", "register_tokens").replace("mlp.fc1", "mlp.w12").replace("mlp.fc2", "mlp.w3")
        for name in state
    }
    theirs = {names[name]: value for name, value in state.items()}
    # They have a position for the class token, which timm adds to it.
    of_class = torch.linspace(-0.1, 0.1, theirs["cls_token"].numel()).bfloat16().float().reshape(1, 1, -1)
    theirs["pos_embed"] = torch.cat([of_class, theirs["pos_embed"]], dim=1)
    return theirs | {"mask_token": torch.zeros(1, theirs["cls_token"].shape[-1])}


def main() -> None:
    """Runs every case and writes the golden."""
    arrays = {"images": IMAGES, "others": OTHERS}
    for seed, (case, (name, normalization, options)) in enumerate(CASES.items()):
        model = timm.create_model(name, **SIZES, **options).float().eval()
        vit_golden.draw(model, seed)
        arrays |= {f"{case}/{key}": value for key, value in features(model, normalization).items()}
        arrays |= {f"{case}/weights/{key}": value.numpy().copy() for key, value in model.state_dict().items()}
    theirs = original(model)
    arrays |= {f"original/weights/{key}": value.numpy().copy() for key, value in theirs.items()}
    model.load_state_dict(checkpoint_filter_fn(dict(theirs), model))
    arrays |= {f"original/{key}": value for key, value in features(model, IMAGENET).items()}
    vit_golden.save("vit_timm", arrays, {case: name for case, (name, _, _) in CASES.items()})


if __name__ == "__main__":
    main()
