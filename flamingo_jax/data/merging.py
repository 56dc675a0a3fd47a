"""The sub-batches of a step as one: rows of all datasets, padded to the largest shapes."""

import math
from collections.abc import Collection, Mapping, Sequence

import numpy as np

from flamingo_jax.data.example import DATASET_KEY, Batch


def merge(batches: Mapping[str, Batch], pad_id: int) -> Batch:
    """One batch of all rows; `dataset` int32 [B] says which dataset a row is of, counted from 0 in this order.

    The rows come in as many equal parts as possible that each hold an equal share of every dataset, so the merged
    batches of hosts 0..n-1, joined, are the merged batch of one host, and devices get equal shares too.
    """
    parts = math.gcd(*(len(batch["tokens"]) for batch in batches.values()))

    def stacked(arrays: Sequence[np.ndarray], fill: int = 0) -> np.ndarray:
        rows = [len(array) // parts for array in arrays]
        shape = np.max([array.shape[1:] for array in arrays], axis=0).astype(int)
        out = np.zeros((parts, sum(rows), *shape), arrays[0].dtype)
        if fill:
            out[...] = fill
        for array, stop, count in zip(arrays, np.cumsum(rows), rows, strict=True):
            held = tuple(slice(size) for size in array.shape[1:])
            out[:, stop - count : stop, *held] = array.reshape(parts, count, *array.shape[1:])
        return out.reshape(-1, *shape)

    keys = next(iter(batches.values())).keys()
    fills = {"tokens": pad_id}
    merged = {key: stacked([batch[key] for batch in batches.values()], fills.get(key, 0)) for key in keys}
    places = [np.full(len(batch["tokens"]), place, np.int32) for place, batch in enumerate(batches.values())]
    return merged | {DATASET_KEY: stacked(places)}


def by_dataset(
    batches: Mapping[str, Batch], names: Sequence[str], keys: Collection[str]
) -> dict[str, dict[str, np.ndarray]]:
    """The arrays `keys` of the rows of each dataset in a step's batches; `names` are all datasets of the mixture."""
    found = {}
    for name, batch in batches.items():
        arrays = {key: batch[key] for key in keys}
        if DATASET_KEY in batch:
            for place, each in enumerate(names):
                rows = batch[DATASET_KEY] == place
                found[each] = {key: array[rows] for key, array in arrays.items()}
        else:
            found[name] = arrays
    return found
