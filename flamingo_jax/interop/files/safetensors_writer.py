"""Writes safetensors tensor by tensor, in shards with an index where one file would be too large."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import BinaryIO

import numpy as np
from etils import epath

from flamingo_jax.interop.files.output_folder import sync
from flamingo_jax.interop.files.pieces import raw
from flamingo_jax.interop.files.safetensors import DTYPES
from flamingo_jax.interop.files.tensors import TensorSpec

SHARD_BYTES = 5_000_000_000
"""The largest shard, unless a single tensor is larger: what Hugging Face's libraries write."""

_NAMES = {dtype: name for name, dtype in DTYPES.items()}


def write_safetensors(
    folder: epath.Path,
    specs: Mapping[str, TensorSpec],
    read: Callable[[str], np.ndarray],
    *,
    shard_bytes: int = SHARD_BYTES,
    wrote: Callable[[int], None] = lambda count: None,
) -> list[epath.Path]:
    """Writes `model.safetensors`, or shards and, last, `model.safetensors.index.json`, into an existing folder.

    Args:
      folder: where to.
      specs: shape and stored type of each tensor; the order is kept within and across shards.
      read: gives a tensor by name, of the spec's shape; it is cast to the spec's type. Called once for each, in order.
      shard_bytes: the size that no shard exceeds, unless one tensor does.
      wrote: told of bytes as they are written.

    Returns:
      The files, the index last.
    """
    shards = _cut(specs, shard_bytes)
    if len(shards) == 1:
        files = {folder / "model.safetensors": shards[0]}
    else:
        number = f"{{:05d}}-of-{len(shards):05d}"
        files = {folder / f"model-{number.format(index)}.safetensors": names for index, names in enumerate(shards, 1)}
    for path, names in files.items():
        _write(path, {name: specs[name] for name in names}, read, wrote)
    if len(shards) == 1:
        return list(files)
    index = folder / "model.safetensors.index.json"
    placement = {name: path.name for path, names in files.items() for name in names}
    total = sum(spec.nbytes for spec in specs.values())
    index.write_text(json.dumps({"metadata": {"total_size": total}, "weight_map": placement}, indent=2) + "\n")
    return [*files, index]


def _cut(specs: Mapping[str, TensorSpec], shard_bytes: int) -> list[Sequence[str]]:
    shards: list[list[str]] = [[]]
    used = 0
    for name, spec in specs.items():
        size = spec.nbytes
        if shards[-1] and used + size > shard_bytes:
            shards.append([])
            used = 0
        shards[-1].append(name)
        used += size
    return shards


def _write(
    path: epath.Path,
    specs: Mapping[str, TensorSpec],
    read: Callable[[str], np.ndarray],
    wrote: Callable[[int], None],
) -> None:
    # Readers of the metadata's "format" take files without it for another framework's.
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    position = 0
    for name, spec in specs.items():
        end = position + spec.nbytes
        header[name] = {"dtype": _NAMES[spec.dtype], "shape": list(spec.shape), "data_offsets": [position, end]}
        position = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # the data begins at a multiple of 8
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name, spec in specs.items():
            _put(file, read(name), spec, name, wrote)
        sync(file)


def _put(file: BinaryIO, array: np.ndarray, spec: TensorSpec, name: str, wrote: Callable[[int], None]) -> None:
    """A function of its own, so that nothing of one tensor is left when the next one is read."""
    if array.shape != spec.shape:
        raise ValueError(f"{name} was announced with shape {spec.shape} and came with {array.shape}")
    for data in raw(array, spec.dtype, name):
        file.write(data)
        wrote(len(data))
