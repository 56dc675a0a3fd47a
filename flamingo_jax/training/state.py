"""What a training step carries from one step to the next: the trainable part, and nothing frozen."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn
from flax import traverse_util
from jaxtyping import Array, Int

from flamingo_jax.models.flamingo import Flamingo
from flamingo_jax.training.freezing import split
from flamingo_jax.training.health import Health, healthy

Params = dict[str, Any]


class TrainState(NamedTuple):
    """`step` counts updates, also those that were not applied.

    `params` and `opt_state` hold trainable leaves only, in float32; `health` what the run is judged by.
    """

    step: Int[Array, ""]
    params: Params
    opt_state: optax.OptState
    health: Health = healthy(())


def abstract_variables(model: Flamingo) -> dict[str, Params]:
    """Shapes of all parameters ("params") and of the scales of those that can be stored in 8 bits ("scales").

    Boxed with their logical axes; nothing is computed.
    """
    return jax.eval_shape(lambda: model.init(jax.random.key(0), **_smallest_inputs()))


def abstract_params(model: Flamingo) -> Params:
    """Shapes of all parameters, boxed with their logical axes."""
    return abstract_variables(model)["params"]


def flat_shapes(params: Params) -> dict[str, jax.ShapeDtypeStruct]:
    """Parameter path (`resampler/latents`) -> its shape."""
    return traverse_util.flatten_dict(nn.meta.unbox(params), sep="/")


def init_trainable(model: Flamingo, labels: dict[str, str], seed: int, shardings: Params) -> Params:
    """Random initial values of the trainable leaves; the frozen ones are never drawn, whatever their size."""

    def init():
        variables = model.init(jax.random.key(seed), **_smallest_inputs())
        return split(nn.meta.unbox(variables["params"]), labels)[0]

    return jax.jit(init, out_shardings=shardings)()


def _smallest_inputs() -> dict[str, Array]:
    """Inputs of the least size that reaches every parameter."""
    row = jnp.zeros((1, 1), jnp.int32)
    return {
        "tokens": row,
        "segment_ids": row + 1,
        "positions": row,
        "image_index": row,
        "images": jnp.zeros((1, 1, 1, 64, 64, 3), jnp.uint8),
        "frame_mask": jnp.ones((1, 1, 1), bool),
    }
