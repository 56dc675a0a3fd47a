"""The images of all datasets of a step through the encoder in one go.

Features of a frozen encoder need no gradient, so they can be made before the datasets' gradients are taken in turn. One
pass over many images is faster than one a dataset, and its program is there once and not once a dataset.
"""

import math
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, UInt8

from flamingo_jax.models.sharding import constrain, parts_of
from flamingo_jax.training.joining import together

Encoder = Callable[[UInt8[Array, "count height width 3"]], Float[Array, "count positions width"]]


def encode_together(
    encode: Encoder, batches: Mapping[str, Mapping[str, Array]], chunk: int = 0
) -> dict[str, dict[str, Array]]:
    """The batches with `features` [batch, images, frames, positions, width] in place of `images`.

    Batches without images stay as they are. Images of one size go together if each dataset's divide evenly over the
    devices that `image_batch` is spread over; others go by themselves. A device encodes at most `chunk` at a time.
    """
    parts, groups = parts_of("image_batch"), {}
    for name, batch in batches.items():
        rows, images, frames, *shape = batch["images"].shape
        count = rows * images * frames
        if count:
            groups.setdefault((*shape, name if count % parts else ""), []).append(name)
    features = {}
    for names in groups.values():
        features |= _encoded(encode, {name: batches[name]["images"] for name in names}, chunk)
    return {
        name: {key: x for key, x in batch.items() if key != "images"} | {"features": features[name]}
        if name in features
        else dict(batch)
        for name, batch in batches.items()
    }


def _encoded(encode: Encoder, images: Mapping[str, Array], chunk: int) -> dict[str, Array]:
    """Joins images of one size, encodes them and takes them apart, moving none to another device for it."""
    joined = together([x.reshape(-1, *x.shape[3:]) for x in images.values()], "image_batch")
    found = _in_chunks(encode, joined, chunk)
    features, start = {}, 0
    for name, x in images.items():
        end = start + math.prod(x.shape[:3]) // len(joined)
        mine = constrain(found[:, start:end], "image_batch", None, None, None)
        features[name] = mine.reshape(*x.shape[:3], *found.shape[2:])
        start = end
    return features


def _in_chunks(encode: Encoder, images: UInt8[Array, "parts count height width 3"], chunk: int) -> Array:
    """Features [parts, count, positions, width], of the largest equal chunks of at most `chunk` images a part."""
    parts, count = images.shape[:2]
    size = next(size for size in range(min(chunk or count, count), 0, -1) if count % size == 0)

    def some(images: Array) -> Array:
        found = encode(images.reshape(-1, *images.shape[2:]))
        return constrain(found.reshape(parts, size, *found.shape[1:]), "image_batch", None, None, None)

    if size == count:
        return some(images)
    cut = jnp.swapaxes(images.reshape(parts, count // size, size, *images.shape[2:]), 0, 1)
    found = jnp.swapaxes(jax.lax.map(some, cut), 0, 1)
    return found.reshape(parts, count, *found.shape[3:])
