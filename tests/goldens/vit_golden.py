"""What the scripts `make_vit_*.py` share: images, weights that let every detail show, and small files."""

import json
import pathlib

import numpy as np

HERE = pathlib.Path(__file__).parent


def images(*shapes: tuple[int, ...]) -> list[np.ndarray]:
    """Noise of any brightness in 0..255, uint8, one array `[batch, height, width, 3]` a shape; always the same."""
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, shape, dtype=np.uint8) for shape in shapes]


def pixels(batch: np.ndarray, mean: tuple[float, ...], scale: tuple[float, ...]) -> np.ndarray:
    """`[batch, 3, height, width]` as the peers take them, normalized in float32 as `ViT` does it."""
    normal = (batch.astype(np.float32) - np.float32(mean)) / np.float32(scale)
    return np.ascontiguousarray(normal.transpose(0, 3, 1, 2))


def draw(model, seed: int) -> None:
    """Random weights for a torch model, the same for the same names and shapes.

    Matrices are wide, so that attention is far from uniform; scales lie around 1 and biases off 0. Embeddings are
    small, so that the epsilon of the first norm shows too. All are bfloat16 numbers, stored as float32: they compress.
    """
    rng = np.random.default_rng(seed)
    for name, parameter in sorted(model.state_dict().items()):
        if not parameter.is_floating_point():
            continue
        shape = tuple(parameter.shape)
        if any(part in name for part in ("gamma", "lambda1")):
            values = rng.uniform(0.3, 1.2, shape)
        elif parameter.ndim == 1 and name.endswith("weight"):
            values = rng.uniform(0.5, 1.5, shape)
        elif any(part in name for part in ("patch", "conv1", "position", "pos_embed", "token", "class_embedding")):
            values = rng.normal(0, 0.05 / np.sqrt(parameter[0].numel() if parameter.ndim == 4 else 1), shape)
        elif parameter.ndim < 2:
            values = rng.normal(0, 0.3, shape)
        else:
            values = rng.normal(0, 1.5 / np.sqrt(shape[-1]), shape)
        bits = np.asarray(values, np.float32).view(np.uint32) & np.uint32(0xFFFF0000)
        parameter.data.copy_(parameter.data.new_tensor(bits.view(np.float32)))


def save(name: str, arrays: dict[str, np.ndarray], configs: dict) -> None:
    """Writes `name`.npz; `configs` is the JSON string `configs` in it."""
    path = HERE / f"{name}.npz"
    np.savez_compressed(path, configs=np.array(json.dumps(configs)), **arrays)
    print(f"{path.name}: {len(arrays)} arrays, {path.stat().st_size / 1000:.0f} kB")
