"""What the `config.json` and `preprocessor_config.json` of transformers' Vision Transformers have in common."""

from collections.abc import Mapping
from typing import Any

from flamingo_jax.interop.files.tensors import WeightsError
from flamingo_jax.models.vision.vit import Pixels, ViTConfig

_ACTIVATIONS = {
    "quick_gelu": "quick_gelu",
    "gelu": "gelu",
    "gelu_python": "gelu",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_new": "gelu_tanh",
    "relu": "relu",
    "silu": "silu",
}


def section(config: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """The vision part of a config.json (its `vision_config`, or all of it) over transformers' own defaults.

    Files on the hub leave out what is a default.
    """
    return {**defaults, **(config.get("vision_config") or config)}


def sizes(part: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of `ViTConfig` that every family writes the same way.

    Raises:
      WeightsError: a key is missing, images or patches are not square, or there is an activation or a number of
        channels that `ViT` has not.
    """
    try:
        if part.get("num_channels", 3) != 3:
            raise WeightsError(f"config.json: num_channels is {part['num_channels']}; ViT takes images of 3 channels")
        return {
            "patch_size": square(part, "patch_size"),
            "width": part["hidden_size"],
            "num_layers": part["num_hidden_layers"],
            "num_heads": part["num_attention_heads"],
            "activation": activation(part["hidden_act"]),
            "norm_eps": part["layer_norm_eps"],
        }
    except KeyError as error:
        raise WeightsError(f"config.json has no {error} of a Vision Transformer; is it the right file?") from None


def square(part: Mapping[str, Any], key: str) -> int:
    """A size in pixels that is stored as one number, or as two equal ones. Raises WeightsError if they differ."""
    value = part[key]
    first, *others = (value,) if isinstance(value, int) else value
    if any(other != first for other in others):
        raise WeightsError(f"config.json: {key} is {value}; ViT knows square ones only")
    return first


def activation(name: str) -> str:
    """Our name of an activation of theirs. Raises WeightsError where we have none."""
    if name not in _ACTIVATIONS:
        known = ", ".join(_ACTIVATIONS)
        raise WeightsError(f"config.json: hidden_act is {name!r}, which is unknown here; known: {known}")
    return _ACTIVATIONS[name]


def written(config: ViTConfig) -> dict[str, Any]:
    """The same keys as `sizes` reads, from a `ViTConfig`."""
    theirs = {ours: name for name, ours in reversed(_ACTIVATIONS.items())}
    if config.activation not in theirs:
        raise WeightsError(f"transformers has no name for the activation {config.activation!r}")
    return {
        "patch_size": config.patch_size,
        "hidden_size": config.width,
        "num_hidden_layers": config.num_layers,
        "num_attention_heads": config.num_heads,
        "hidden_act": theirs[config.activation],
        "layer_norm_eps": config.norm_eps,
        "num_channels": 3,
    }


def pixels(preprocessor: Mapping[str, Any]) -> tuple[Pixels, Pixels]:
    """`pixel_mean` and `pixel_scale` from a preprocessor_config.json (or `mean` and `std` of open_clip's).

    Their pixels are `x * rescale_factor`, then `(x - mean) / std`.
    """
    factor = 1 / preprocessor.get("rescale_factor", 1 / 255) if preprocessor.get("do_rescale", True) else 1.0
    normalize = preprocessor.get("do_normalize", True)
    mean = preprocessor.get("image_mean", preprocessor.get("mean")) if normalize else (0.0,) * 3
    std = preprocessor.get("image_std", preprocessor.get("std")) if normalize else (1.0,) * 3
    if mean is None or std is None:
        raise WeightsError("preprocessor_config.json has no image_mean and image_std: give pixel_mean and pixel_scale")
    # Rounded, so that what is written with few digits (0.48145466) comes out with few digits too.
    return tuple(round(value * factor, 8) for value in mean), tuple(round(value * factor, 8) for value in std)


def preprocessor(config: ViTConfig, kind: str) -> dict[str, Any]:
    """A preprocessor_config.json for images that are to be `image_size` pixels a side; `kind` is the peer's class."""
    side = {"height": config.image_size, "width": config.image_size}
    return {
        "image_processor_type": kind,
        "do_resize": True,
        "size": side,
        "resample": 3,  # bicubic, as PIL numbers it
        "do_center_crop": False,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": [round(value / 255, 12) for value in config.pixel_mean],
        "image_std": [round(value / 255, 12) for value in config.pixel_scale],
    }
