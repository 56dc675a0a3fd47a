"""Golden resized grids, from torch: what the peers' Vision Transformers do to their position embeddings.

Environment: `tests/goldens/requirements.txt`. Command, from the repository root:

    goldenenv/bin/python tests/goldens/make_position_resize.py

Writes `position_resize.npz`: `<height>x<width>/table` float32 [height, width, 2], and
`<height>x<width>/<interpolation>/<new height>x<new width>` for each way to resize it.
"""

import pathlib

import numpy as np
import torch

HERE = pathlib.Path(__file__).parent
GRIDS = ((7, 7), (16, 16), (5, 3))
TARGETS = ((3, 11), (7, 7), (16, 24), (1, 2), (32, 10))
INTERPOLATIONS = {
    "bicubic": {"mode": "bicubic"},
    "bicubic_antialias": {"mode": "bicubic", "antialias": True},
    "bilinear_antialias": {"mode": "bilinear", "antialias": True},
}


def main() -> None:
    """Resizes every grid to every target."""
    rng, arrays = np.random.default_rng(0), {}
    for height, width in GRIDS:
        table = rng.normal(size=(height, width, 2)).astype(np.float32)
        arrays[f"{height}x{width}/table"] = table
        channels_first = torch.from_numpy(table).permute(2, 0, 1)[None]
        for name, options in INTERPOLATIONS.items():
            for target in TARGETS:
                resized = torch.nn.functional.interpolate(channels_first, size=target, align_corners=False, **options)
                arrays[f"{height}x{width}/{name}/{target[0]}x{target[1]}"] = resized[0].permute(1, 2, 0).numpy()
    np.savez_compressed(HERE / "position_resize.npz", **arrays)


if __name__ == "__main__":
    main()
