"""A tiny DINOv2 with a head as torch's exporter writes it to ONNX: the weights of `vit_dinov2.npz`, case "plain".

Environment: `tests/goldens/requirements_openflamingo.txt`, whose transformers has modules of the names that files have
(those of version 5 are renamed when they are saved). Command, from the repository root:

    peerenv/bin/python tests/goldens/make_onnx_dinov2.py

Writes `dinov2.onnx`. The encoder is the module `backbone`, its weights are `plain/weights/...` of that golden, and
`decoder` makes a map of its features, as in networks of dense prediction. The exporter is the one that traces a module
(`dynamo=False`); it folds constants, as it does by default.
"""

import pathlib
import warnings

import numpy as np
import torch
import transformers

HERE = pathlib.Path(__file__).parent
SIZES = {
    "hidden_size": 24,
    "mlp_ratio": 2,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "image_size": 28,
    "patch_size": 7,
}


class Dense(torch.nn.Module):
    """One value a patch from DINOv2's features."""

    def __init__(self, backbone: torch.nn.Module):
        super().__init__()
        self.backbone, self.decoder = backbone, torch.nn.Conv2d(SIZES["hidden_size"], 1, 1)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """The map of images `[batch, 3, height, width]`."""
        features = self.backbone(pixels).last_hidden_state[:, 1:]
        side = SIZES["image_size"] // SIZES["patch_size"]
        return self.decoder(features.transpose(1, 2).unflatten(2, (side, side)))


def main() -> None:
    """Loads the golden's weights into the peer's module and exports it."""
    golden, prefix = np.load(HERE / "vit_dinov2.npz"), "plain/weights/"
    weights = {name.removeprefix(prefix): golden[name] for name in golden.files if name.startswith(prefix)}
    backbone = transformers.Dinov2Model(transformers.Dinov2Config(**SIZES))
    backbone.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()})
    torch.manual_seed(0)
    model, pixels = Dense(backbone).eval(), torch.zeros(1, 3, SIZES["image_size"], SIZES["image_size"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's, of tracing and of its own age
        torch.onnx.export(model, (pixels,), HERE / "dinov2.onnx", dynamo=False, opset_version=17)
    print(f"dinov2.onnx: {(HERE / 'dinov2.onnx').stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
