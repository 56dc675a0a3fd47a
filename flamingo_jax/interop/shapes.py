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
from flamingo_jax.models.flamingo import Flamingo, FlamingoConfig
from flamingo_jax.models.language.decoder import Decoder
from flamingo_jax.models.language.decoder_config import DecoderConfig
from flamingo_jax.models.language.layer import Context
from flamingo_jax.models.language.plan import LayerPlan
from flamingo_jax.models.masks import causal_mask

_SIDE = 64  # pixels of an image, enough for every encoder


def canonical_shapes(model: Any) -> dict[str, Shape]:
    """The shape of each parameter.

    Args:
      model: a `FlamingoConfig`, a `DecoderConfig` (its parameters stand under `language_model/`), or the config of a
        vision encoder (`vision_encoder/`).
    """
    return dict(_canonical_shapes(model))


@functools.lru_cache(maxsize=8)
def _canonical_shapes(model: Any) -> dict[str, Shape]:
    row = jax.ShapeDtypeStruct((1, 1), jnp.int32)
    if isinstance(model, FlamingoConfig):
        images = jax.ShapeDtypeStruct((1, 1, 1, _SIDE, _SIDE, 3), jnp.uint8)
        frames = jax.ShapeDtypeStruct((1, 1, 1), jnp.bool_)
        return flatten_shapes(_shapes(Flamingo(model), "", row, row, row, row, images, frames), model.plan)
    if isinstance(model, DecoderConfig):
        plan, context = LayerPlan(model.num_layers), Context(row, causal_mask(row))
        return flatten_shapes(_shapes(Decoder(model, plan), native.LANGUAGE, row, context), plan)
    images = jax.ShapeDtypeStruct((1, _SIDE, _SIDE, 3), jnp.uint8)
    return flatten_shapes(_shapes(model.make(jnp.dtype(jnp.float32)), native.VISION, images), LayerPlan(1))


def _shapes(module: nn.Module, prefix: str, *inputs: Any) -> dict[str, Shape]:
    """Traced with nothing on any device: a conversion must not take an accelerator from a run."""
    variables = jax.eval_shape(lambda *values: module.init(jax.random.key(0), *values), *inputs)
    leaves = traverse_util.flatten_dict(nn.meta.unbox(variables["params"]), sep="/")
    return {f"{prefix}{path}": leaf.shape for path, leaf in leaves.items()}
