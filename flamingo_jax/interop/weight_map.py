"""Moves named tensors of a file into a parameter tree, as data: which tensor goes where, and turned how."""

import hashlib
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from flamingo_jax.interop.tensors import TensorFile, WeightsError

Shape = tuple[int, ...]


class Entry(NamedTuple):
    """One tensor of the file. `convert(tensor, shape)` turns it into the parameter's layout, of the given shape."""

    source: str
    convert: Callable[[np.ndarray, Shape], np.ndarray]


# Parameter path ("layers/query/kernel") -> its tensor, or the tensors of all layers, which are stacked.
WeightMap = Mapping[str, Entry | list[Entry]]


def as_is(tensor: np.ndarray, shape: Shape) -> np.ndarray:
    """Norms, biases and embedding tables."""
    return tensor


def kernel(tensor: np.ndarray, shape: Shape) -> np.ndarray:
    """A linear map stored as `[out, in]` becomes `[*in axes, *out axes]`."""
    return tensor.T.reshape(shape) if tensor.size == np.prod(shape) else tensor.T


def convolution(tensor: np.ndarray, shape: Shape) -> np.ndarray:
    """A kernel stored as `[out, in / groups, height, width]` becomes `[height, width, in / groups, out]`."""
    return tensor.transpose(2, 3, 1, 0)


def read_weights(
    file: TensorFile, weights: WeightMap, shapes: Mapping[str, Shape], dtype: np.dtype
) -> tuple[dict[str, np.ndarray], str]:
    """Reads every parameter of `weights`, tensor by tensor.

    Args:
      file: an opened weight file.
      weights: path -> tensor(s).
      shapes: path -> the shape that the model expects (with a leading layer axis for stacked ones).
      dtype: what to store.

    Returns:
      The parameters by path, and their fingerprint: a SHA-256 over the tensors in the layout of the model, in float32,
      before any cast.

    Raises:
      WeightsError: naming every tensor that is missing or has the wrong shape.
    """
    wanted = {path: entries if isinstance(entries, list) else [entries] for path, entries in weights.items()}
    missing = [entry.source for entries in wanted.values() for entry in entries if entry.source not in file]
    if missing:
        raise WeightsError(f"{file.path}: {len(missing)} tensors are missing: {_some(missing)}")
    params, digest, misshapen = {}, hashlib.sha256(), []
    for path in sorted(wanted):
        stacked = isinstance(weights[path], list)
        shape = shapes[path][1:] if stacked else shapes[path]
        target = np.empty(shapes[path], dtype)
        if stacked and len(wanted[path]) != shapes[path][0]:
            raise WeightsError(f"{file.path}: {path} has {len(wanted[path])} layers, the model {shapes[path][0]}")
        for layer, entry in enumerate(wanted[path]):
            tensor = np.ascontiguousarray(entry.convert(file[entry.source].astype(np.float32), shape))
            if tensor.shape != shape:
                misshapen.append(f"{entry.source} gives {tensor.shape} where {path} wants {shape}")
                continue
            digest.update(f"{path}[{layer}]{shape}".encode())
            digest.update(tensor.data)
            target[layer if stacked else ...] = tensor
        params[path] = target
    if misshapen:
        raise WeightsError(f"{file.path} does not fit the model's config: {_some(misshapen)}")
    return params, digest.hexdigest()


def _some(names: list[str], most: int = 5) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return "; ".join(names[:most]) + more
