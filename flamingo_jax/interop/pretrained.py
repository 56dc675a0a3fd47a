"""The pretrained language model and vision encoder, read from their published files into the model's parameter tree."""

import dataclasses
import hashlib

import jax.numpy as jnp
import numpy as np
from flax import traverse_util

from flamingo_jax.interop import efficientnet, llama
from flamingo_jax.interop.locate import locate
from flamingo_jax.interop.tensors import open_tensors
from flamingo_jax.interop.weight_map import Shape, read_weights
from flamingo_jax.models.flamingo import FlamingoConfig


@dataclasses.dataclass(frozen=True)
class PretrainedConfig:
    """Where the pretrained weights lie.

    Attributes:
      language: file of the language model: GGUF, or safetensors or torch under Hugging Face's names. Paths may be
        local, `gs://...`, or `package://NAME/FILE` for a file inside an installed Python package.
      vision: file of the vision encoder.
      tokenizer: `tokenizer.json` or a GGUF file; empty for the language model's own file.
      frozen_dtype: what frozen weights are stored in: "float32" or "bfloat16".
    """

    language: str
    vision: str
    tokenizer: str = ""
    frozen_dtype: str = "bfloat16"

    @property
    def tokenizer_path(self) -> str:
        """The tokenizer's file: its own, or the language model's."""
        return self.tokenizer or self.language


def load_pretrained(
    config: PretrainedConfig, model: FlamingoConfig, shapes: dict[str, Shape]
) -> tuple[dict[str, np.ndarray], str]:
    """Reads both files.

    Args:
      config: where they are.
      model: what they must fit.
      shapes: the shape of each of the model's parameters, by path (`vision_encoder/stem/kernel`).

    Returns:
      The parameters by path, and one fingerprint of both files' tensors.

    Raises:
      FileNotFoundError, WeightsError: a file is missing, is corrupt or does not fit the model.
    """
    dtype = jnp.dtype(config.frozen_dtype)
    vision, vision_print = _load_vision(config.vision, model, shapes, dtype)
    language, language_print = _load_language(config.language, model, shapes, dtype)
    return vision | language, hashlib.sha256(f"{language_print} {vision_print}".encode()).hexdigest()


def _load_vision(path: str, model: FlamingoConfig, shapes: dict[str, Shape], dtype):
    prefix = "vision_encoder/"
    wanted = {name.removeprefix(prefix): shape for name, shape in shapes.items() if name.startswith(prefix)}
    with open_tensors(locate(path)) as file:
        params, fingerprint = read_weights(file, efficientnet.weight_map(model.vision), wanted, dtype)
    return {f"{prefix}{name}": leaf for name, leaf in params.items()}, fingerprint


def _load_language(path: str, model: FlamingoConfig, shapes: dict[str, Shape], dtype):
    """Layers are read as stacks in the file's order, then cut into the groups of this model's plan."""
    prefix, plan = "language_model/", model.plan
    some_layers = "groups/layers/" if plan.groups else "tail/layers/" if plan.tail else "head/"
    lead, wanted = 2 if plan.groups else 1, {}
    for name, shape in shapes.items():
        name = name.removeprefix(prefix)
        if name.startswith(some_layers):
            wanted[f"layers/{name.removeprefix(some_layers)}"] = (model.language.num_layers, *shape[lead:])
        elif "/layers/" not in name:
            wanted[name] = shape
    with open_tensors(locate(path)) as file:
        names = llama.GGUF if "token_embd.weight" in file else llama.HUGGING_FACE
        params, fingerprint = read_weights(file, llama.weight_map(model.language, names), wanted, dtype)
    tree = traverse_util.unflatten_dict(params, sep="/")
    tree |= plan.group(tree.pop("layers"))
    return {f"{prefix}{name}": leaf for name, leaf in traverse_util.flatten_dict(tree, sep="/").items()}, fingerprint
