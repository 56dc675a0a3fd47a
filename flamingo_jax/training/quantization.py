"""What frozen parameters are stored in: the dtype that the configuration names, or 8 bits where a module can read them.

Only what comes from pretrained files is stored in fewer bits; anything else that a run freezes stays in float32.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import traverse_util
from jax.sharding import NamedSharding

from flamingo_jax.models.quantized import Quantized
from flamingo_jax.training.freezing import FROZEN

INT8 = "int8"
_BESIDE = "bfloat16"  # of the weights that have no scale: norms, biases


def abstract_frozen(
    shapes: Mapping[str, jax.ShapeDtypeStruct],
    labels: Mapping[str, str],
    shardings: Mapping[str, NamedSharding],
    scales: Mapping[str, jax.ShapeDtypeStruct],
    scale_shardings: Mapping[str, NamedSharding],
    frozen_dtype: str,
) -> dict[str, Any]:
    """The tree of frozen leaves as they are stored: `ShapeDtypeStruct`s with shardings, or `Quantized` of two of them.

    Args:
      shapes, labels, shardings: by parameter path.
      scales, scale_shardings: of the weights that can be stored in 8 bits, by path.
      frozen_dtype: see `PretrainedConfig.frozen_dtype`.
    """

    def stored(path: str) -> Any:
        def leaf(shape: tuple[int, ...], dtype: Any, sharding: NamedSharding) -> jax.ShapeDtypeStruct:
            return jax.ShapeDtypeStruct(shape, jnp.dtype(dtype), sharding=sharding)

        shape = shapes[path].shape
        if not is_pretrained_path(path):
            return leaf(shape, jnp.float32, shardings[path])
        if frozen_dtype != INT8:
            return leaf(shape, frozen_dtype, shardings[path])
        if path not in scales:
            return leaf(shape, _BESIDE, shardings[path])
        scale = leaf(scales[path].shape, jnp.float32, scale_shardings[path])
        return Quantized(leaf(shape, jnp.int8, shardings[path]), scale)

    flat = {path: stored(path) for path, label in labels.items() if label == FROZEN}
    return traverse_util.unflatten_dict(flat, sep="/")


def is_pretrained_path(path: str) -> bool:
    """Whether a parameter belongs to the pretrained language model or vision encoder."""
    module, *rest = path.split("/")
    if module == "language_model":
        return not rest[0].startswith(("new_", "graft")) and "gated_cross_attention" not in rest
    return module == "vision_encoder"
