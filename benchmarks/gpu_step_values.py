"""Random values for a design, drawn on its devices: no weights, datasets or tokenizers are needed to time a step."""

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, UInt32

from flamingo_jax.data.example import DATASET_KEY
from flamingo_jax.training.design import Design
from flamingo_jax.training.state import Params, TrainState
from flamingo_jax.training.step import Batch

_SPREAD = 0.035  # half the width of a uniform distribution with standard deviation 0.02
_INT8 = 127


def draw_state(design: Design) -> TrainState:
    """The state before a first update. Gates are open: behind closed ones the gradients would be zeros."""
    return design.start(draw(design.state.params, seed=1))


def draw_frozen(design: Design) -> Params:
    """The frozen weights in the dtypes that they are stored in."""
    return draw(design.frozen, seed=2)


def draw(tree: Any, seed: int) -> Any:
    """An array for each `ShapeDtypeStruct` of a tree of parameters; each device draws its own shards."""

    def values(seed: UInt32[Array, ""]) -> Any:
        leaves, structure = jax.tree_util.tree_flatten_with_path(tree)
        drawn = [_parameter(path, leaf, seed + number) for number, (path, leaf) in enumerate(leaves)]
        return jax.tree_util.tree_unflatten(structure, drawn)

    return jax.jit(values, out_shardings=jax.tree.map(lambda leaf: leaf.sharding, tree))(jnp.uint32(seed << 16))


def draw_batch(design: Design, batch: Batch) -> Batch:
    """Arrays for one of `design.batches`: pages without padding, whose images stand evenly between the words."""
    model = design.config.model
    tokens, datasets = model.language.vocab_size + model.num_new_tokens, len(design.config.mixture.datasets)

    def values(seed: UInt32[Array, ""]) -> Batch:
        return {
            name: {
                key: _batch_array(key, leaf, part["frame_mask"].shape[1], tokens, datasets, seed)
                for key, leaf in part.items()
            }
            for name, part in batch.items()
        }

    return jax.jit(values, out_shardings=jax.tree.map(lambda leaf: leaf.sharding, batch))(jnp.uint32(0))


def noise(shape: tuple[int, ...], seed: UInt32[Array, ""] | int) -> UInt32[Array, "..."]:
    """Random bits, a hash of each element's place.

    Nothing is held in between, each device makes its own elements, and it compiles in no time, none of which is so of
    `jax.random`; better randomness is of no use here. The hash is C. Wellons' lowbias32.
    """
    places = jnp.zeros(shape, jnp.uint32)
    for axis in range(len(shape)):
        stride = math.prod(shape[axis + 1 :]) % 2**32
        places += jax.lax.broadcasted_iota(jnp.uint32, shape, axis) * jnp.uint32(stride)
    bits = places + jnp.uint32(seed) * jnp.uint32(0x9E3779B9)
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        bits = (bits ^ (bits >> shift)) * jnp.uint32(factor)
    return bits ^ (bits >> 16)


def uniform(
    shape: tuple[int, ...], dtype: Any, seed: UInt32[Array, ""] | int, centre: float = 0.0, spread: float = 1.0
) -> Array:
    """Random numbers within `spread` of `centre`."""
    return (centre + spread * (noise(shape, seed).astype(jnp.float32) * 2.0**-31 - 1)).astype(dtype)


def _parameter(path: tuple, leaf: jax.ShapeDtypeStruct, seed: UInt32[Array, ""]) -> Array:
    """Values of a size at which activations stay of the order of 1."""
    draw = functools.partial(uniform, leaf.shape, leaf.dtype, seed)
    if isinstance(path[-1], jax.tree_util.GetAttrKey):  # the two halves of a weight in 8 bits
        return draw(0.0, _INT8) if leaf.dtype == jnp.int8 else draw(_SPREAD / _INT8, 0.0)
    name = str(path[-1].key)
    if name in ("scale", "variance"):
        return draw(1.0, 0.1)
    return draw(0.5, 0.1) if name.endswith("_gate") else draw(0.0, _SPREAD)


def _batch_array(
    key: str, leaf: jax.ShapeDtypeStruct, images: int, tokens: int, datasets: int, seed: UInt32[Array, ""]
) -> Array:
    """One array of a batch; see `data.example.Example` for what they mean."""
    shape, dtype = leaf.shape, leaf.dtype
    if key == "tokens":
        return (noise(shape, seed) % jnp.uint32(tokens)).astype(dtype)
    if key == "images":
        return (noise(shape, seed) >> 24).astype(dtype)
    if key in ("segment_ids", "frame_mask"):
        return jnp.ones(shape, dtype)
    if key == DATASET_KEY:
        return (jnp.arange(shape[0]) % datasets).astype(dtype)
    places = jax.lax.broadcasted_iota(jnp.int32, shape, 1)
    if key == "positions":
        return places.astype(dtype)
    if key == "loss_mask":
        return places > 0
    if key in ("image_index", "image_first"):
        # The first token sees none, then each image has its share; each token sees one.
        return jnp.where(places > 0, jnp.minimum(images, 1 + places * images // shape[1]), 0).astype(dtype)
    raise KeyError(f"no values are known for the batch's array {key!r}: say in gpu_step_values.py what it holds")
