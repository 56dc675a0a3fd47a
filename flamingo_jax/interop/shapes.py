"""The parameters that a model has, by canonical name, without computing anything."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax import traverse_util

from flamingo_jax.interop import native
from flamingo_jax.interop.canonical import flatten_shapes
from flamingo_jax.interop.layouts import Shape
from flamingo_jax.models.attention import causal_mask
from flamingo_jax.models.flamingo import Flamingo, FlamingoConfig
from flamingo_jax.models.language.decoder import Decoder
from flamingo_jax.models.language.decoder_config import DecoderConfig
from flamingo_jax.models.language.layer import Context
from flamingo_jax.models.language.plan import LayerPlan


def canonical_shapes(model: Any) -> dict[str, Shape]:
    """The shape of each parameter.

    Args:
      model: a `FlamingoConfig`, a `DecoderConfig` (its parameters stand under `language_model/`), or the config of a
        vision encoder (`vision_encoder/`).
    """
    return dict(_canonical_shapes(model))


@functools.lru_cache(maxsize=8)
def _canonical_shapes(model: Any) -> dict[str, Shape]:
    row = jnp.zeros((1, 1), jnp.int32)
    side = 64
    if isinstance(model, FlamingoConfig):
        images, frames = jnp.zeros((1, 1, 1, side, side, 3), jnp.uint8), jnp.ones((1, 1, 1), bool)
        return flatten_shapes(_shapes(Flamingo(model), "", row, row + 1, row, row, images, frames), model.plan)
    if isinstance(model, DecoderConfig):
        plan = LayerPlan(model.num_layers)
        context = Context(row, causal_mask(row + 1))
        return flatten_shapes(_shapes(Decoder(model, plan), native.LANGUAGE, row, context), plan)
    images = jnp.zeros((1, side, side, 3), jnp.uint8)
    return flatten_shapes(_shapes(model.make(jnp.dtype(jnp.float32)), native.VISION, images), LayerPlan(1))


def _shapes(module: nn.Module, prefix: str, *inputs: Any) -> dict[str, Shape]:
    variables = jax.eval_shape(lambda: module.init(jax.random.key(0), *inputs))
    leaves = traverse_util.flatten_dict(nn.meta.unbox(variables["params"]), sep="/")
    return {f"{prefix}{path}": leaf.shape for path, leaf in leaves.items()}
