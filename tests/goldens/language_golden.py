"""How every golden of a language model is made: draw wide weights, run three paddings, keep what a file would hold."""

import json
import pathlib
import tempfile
from collections.abc import Mapping
from typing import Any

import numpy as np
import safetensors.numpy
import torch
import torchvision_on_cpu  # noqa: F401 (transformers imports torchvision where it is installed)
import transformers

transformers.utils.logging.disable_progress_bar()
HERE = pathlib.Path(__file__).parent
VOCAB_SIZE = 61
LENGTH = 12  # longer than every window
SHORT = 8  # of the second row, where it is padded
PADDINGS = ("none", "left", "right")
NOISE = ("architectures", "dtype", "transformers_version", "initializer_range", "use_cache", "bos_token_id")
# A multiple of this, a weight compresses to a byte, and is exact in every float type of 8 bits of mantissa or more.
STEP = 1 / 64


def draw(model: torch.nn.Module, seed: int, norm_center: float = 1.0) -> None:
    """Weights such that every branch, bias and norm moves the logits, and attention is far from uniform.

    Args:
      model: changed in place.
      seed: of the draw.
      norm_center: around which scales of norms lie: 0 where the norm adds 1 to them (Gemma).
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if ("norm" in name or ".ln_" in name) and name.endswith("weight"):
                parameter.uniform_(norm_center - 0.5, norm_center + 0.5, generator=generator)
            elif "embed" in name or ".wte" in name or ".wpe" in name:
                parameter.normal_(0, 1, generator=generator)
            else:
                parameter.normal_(0, 0.3, generator=generator)
            parameter.copy_((parameter / STEP).round() * STEP)


def inputs(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Token ids `[2, LENGTH]`, the same for every padding, and masks `[paddings, 2, LENGTH]`."""
    ids = np.random.default_rng(seed).integers(3, VOCAB_SIZE, (2, LENGTH), dtype=np.int32)
    masks = np.ones((len(PADDINGS), 2, LENGTH), np.int32)
    masks[1, 1, : LENGTH - SHORT] = 0
    masks[2, 1, SHORT:] = 0
    return ids, masks


def logits(model: torch.nn.Module, ids: np.ndarray, masks: np.ndarray, give_positions: bool = False) -> np.ndarray:
    """Logits `[paddings, 2, LENGTH, vocab]`, 0 where there is padding.

    `give_positions`: for models that would count the padding on the left, as `generate` does for them.
    """
    found = []
    for mask in masks:
        more = {}
        if give_positions:
            more["position_ids"] = torch.from_numpy(np.maximum(mask.cumsum(1) - 1, 0)).long()
        with torch.no_grad():
            output = model(torch.from_numpy(ids).long(), attention_mask=torch.from_numpy(mask).long(), **more)
        found.append(output.logits.numpy() * mask[..., None])
    return np.stack(found)


def must_matter(model: torch.nn.Module, changes: Mapping[str, Any], expected: np.ndarray, **how: bool) -> None:
    """Fails if the logits stay the same without one of the settings that the golden is there to test."""
    for key, value in changes.items():
        config = type(model.config).from_dict(model.config.to_dict() | {key: value})
        config._attn_implementation = "eager"
        other = type(model)(config).float().eval()
        other.load_state_dict(model.state_dict(), strict=False)
        change = np.abs(logits(other, *inputs(), **how) - expected).max() / np.abs(expected).max()
        assert change > 1e-2, f"{type(config).__name__}.{key} = {value} changes the logits by {change:.1e} only"


def saved(model: transformers.PreTrainedModel) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The config.json and the tensors that `save_pretrained` writes, under the names of the file."""
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        config = json.loads((pathlib.Path(folder) / "config.json").read_text())
        tensors = safetensors.numpy.load_file(pathlib.Path(folder) / "model.safetensors")
    return {key: value for key, value in config.items() if key not in NOISE}, tensors


def golden(
    model: transformers.PreTrainedModel,
    *,
    norm_center: float = 1.0,
    matters: Mapping[str, Any] | None = None,
    give_positions: bool = False,
    seed: int = 0,
) -> dict[str, np.ndarray]:
    """One variant: `config` (JSON), `logits`, and the weights under `weights/`.

    Args:
      model: with an eager config; its weights are drawn here.
      norm_center: see `draw`.
      matters: settings of the config, each with a value that must change the logits.
      give_positions: see `logits`.
      seed: of the weights.
    """
    model = model.float().eval()
    draw(model, seed, norm_center)
    expected = logits(model, *inputs(), give_positions=give_positions)
    must_matter(model, matters or {}, expected, give_positions=give_positions)
    config, tensors = saved(model)
    return variant(config, tensors, expected)


def variant(config: Mapping[str, Any], tensors: Mapping[str, np.ndarray], expected: np.ndarray) -> dict:
    """The arrays of one variant, by the names that they have in the file."""
    weights = {f"weights/{name}": tensor for name, tensor in tensors.items()}
    return {"config": np.array(json.dumps(config)), "logits": expected.astype(np.float32)} | weights


def write(family: str, variants: Mapping[str, Mapping[str, np.ndarray]]) -> None:
    """Writes `<family>.npz`: `input_ids`, `masks` and `<variant>/...` for each variant."""
    ids, masks = inputs()
    arrays = {f"{name}/{key}": array for name, arrays in variants.items() for key, array in arrays.items()}
    path = HERE / f"{family}.npz"
    np.savez_compressed(path, input_ids=ids, masks=masks, **arrays)
    largest = {name: float(np.abs(arrays["logits"]).max()) for name, arrays in variants.items()}
    print(f"{path.name}: {path.stat().st_size // 1024} kB, largest logits {largest}")
