"""Golden features of a small random NFNet from timm, and the parameter counts of timm's large ones.

Environment: `tests/goldens/requirements.txt`, with timm 1.0.31 (and, beside it, torchvision 0.28.0 installed with
`--no-deps`). Command, from the repository root:

    goldenenv/bin/python tests/goldens/make_nfnet.py

Writes `nfnet_timm.npz`: `config` (JSON of timm's NfCfg), `images` uint8 [2, 75, 53, 3] (odd sizes, so that halvings
meet padded edges), every tensor of the state dict under its name after `weights/`, and `features` float32 [2, 3, 2, 96]
(`forward_features`: after the final convolution and its activation); and `nfnet_parameters.json`: the number of
parameters of dm_nfnet_f0 to dm_nfnet_f6 without their heads. Pixels enter with ImageNet's mean and deviation.

The model is of the family `dm_nfnet`: "SAME" padding, gamma in the activations, learned skip gains. Weights are drawn
so that all of it tells: kernels so small that the epsilon of their standardization shows, gains, skip gains and biases
away from where training starts. They are multiples of 2**-10 to make the file small.
"""

import dataclasses
import json
import pathlib

import numpy as np
import torch
import torchvision_on_cpu  # noqa: F401

# isort: split
import timm  # needs the import above
from timm.models.nfnet import NfCfg, NormFreeNet

HERE = pathlib.Path(__file__).parent
CONFIG = NfCfg(
    depths=(1, 2, 3, 1),
    channels=(16, 32, 48, 48),
    stem_type="deep_quad",
    stem_chs=16,
    group_size=8,
    bottle_ratio=0.5,
    extra_conv=True,
    gamma_in_act=True,
    same_padding=True,
    skipinit=True,
    num_features=96,
    act_layer="gelu",
    attn_layer="se",
    attn_kwargs={"rd_ratio": 0.5},
    ch_div=2,  # the stem of this small model begins with 2 channels
)
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def draw(name: str, tensor: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Random values for the parameter `name`."""
    noise = torch.randn(tensor.shape, generator=generator)
    if name.endswith("skipinit_gain"):
        values = 1 + 0.3 * noise
    elif name.endswith("gain"):
        values = 1 + 0.2 * noise
    elif "attn_last" in name:
        values = noise * (tensor[0].numel() ** -0.5 * 2 if name.endswith("weight") else 0.5)
    else:
        values = noise * (0.02 if name.endswith("weight") else 0.3)
    return (values * 1024).round() / 1024


def main() -> None:
    """Runs the peer and writes the goldens."""
    generator = torch.Generator().manual_seed(0)
    model = NormFreeNet(CONFIG, num_classes=3).eval()
    model.load_state_dict({name: draw(name, tensor, generator) for name, tensor in model.state_dict().items()})
    images = np.random.default_rng(0).integers(0, 256, (2, 75, 53, 3), np.uint8)
    pixels = (torch.from_numpy(images) / 255 - torch.tensor(MEAN)) / torch.tensor(DEVIATION)
    with torch.no_grad():
        features = model.forward_features(pixels.permute(0, 3, 1, 2)).permute(0, 2, 3, 1).contiguous().numpy()
    weights = {f"weights/{name}": tensor.numpy() for name, tensor in model.state_dict().items()}
    config = json.dumps(dataclasses.asdict(CONFIG))
    np.savez_compressed(HERE / "nfnet_timm.npz", config=config, images=images, features=features, **weights)
    print(features.shape, features.std(), len(weights), sum(tensor.size for tensor in weights.values()))

    counts = {}
    for variant in range(7):
        large = timm.create_model(f"dm_nfnet_f{variant}", num_classes=0, device="meta")
        counts[f"F{variant}"] = sum(parameter.numel() for parameter in large.parameters())
    (HERE / "nfnet_parameters.json").write_text(json.dumps(counts, indent=1) + "\n")
    print(counts)


if __name__ == "__main__":
    main()
