"""Rows of several datasets through the language model in one pass.

Pairs and clips have short rows, so few tokens a device, that matrix products with a large model's weights are slow on.
Datasets with rows of one length can go together: nothing that a row holds reaches another one, so the objective and its
gradient stay the same, the weights are read once, and the program holds one pass and not one a dataset.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Shaped

from flamingo_jax.data.example import DATASET_KEY
from flamingo_jax.models.sharding import constrain, parts_of

_TEXT = ("tokens", "segment_ids", "positions", "image_index", "loss_mask")
Encoder = Callable[..., Array]
"""(images, frame_mask, features) of a dataset's rows -> their visual tokens, as `Flamingo.encode_images`."""


def join_datasets(batches: Mapping[str, Mapping[str, Array]], encode: Encoder, names: Sequence[str]) -> dict[str, Any]:
    """One batch of all rows, with visual tokens (`media`) in place of images; no row moves to another device.

    Rows with fewer images than others get visual tokens of zeros, which `image_index` points no token at.

    Args:
      batches: dataset -> its sub-batch; all rows have one length.
      encode: makes visual tokens of each dataset's images, which may differ in number, frames and size.
      names: all datasets of the mixture; the batch says by `dataset` which of them a row is of.
    """
    media = [encode(each.get("images"), each["frame_mask"], each.get("features")) for each in batches.values()]
    keys = max(x.shape[1] for x in media)
    media = [jnp.pad(x, ((0, 0), (0, keys - x.shape[1]), (0, 0))) for x in media]
    places = [jnp.full(len(each["tokens"]), names.index(name), jnp.int32) for name, each in batches.items()]
    text = {key: [each[key] for each in batches.values()] for key in _TEXT}
    first = [each.get("image_first", each["image_index"]) for each in batches.values()]
    columns = text | {"image_first": first, "media": media, DATASET_KEY: places}
    return {key: together(arrays).reshape(-1, *arrays[0].shape[1:]) for key, arrays in columns.items()}


def together(arrays: Sequence[Shaped[Array, "_ ..."]], axis: str = "batch") -> Shaped[Array, "parts rows ..."]:
    """Arrays whose rows are spread over devices by `axis`, joined: each device's rows of all of them, device by device.

    Rows that do not divide over all devices are spread over fewer of the mesh axes, and repeated over the others.
    """
    parts = parts_of(axis, math.gcd(*map(len, arrays)))
    # The rows that a device holds stand together on the second axis, where devices need not know of one another.
    each = [_by_device(x, parts, axis) for x in arrays]
    joined = jnp.concatenate(each, axis=1)
    return constrain(joined, axis, *(None for _ in joined.shape[1:]))


def _by_device(x: Shaped[Array, "_ ..."], parts: int, axis: str) -> Shaped[Array, "parts rows ..."]:
    x = constrain(x, axis, *(None for _ in x.shape[1:]))
    return constrain(x.reshape(parts, -1, *x.shape[1:]), axis, *(None for _ in x.shape))
