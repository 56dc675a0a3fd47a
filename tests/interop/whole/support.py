"""What the tests of whole models share: tensors as a file, and logits of canonical parameters."""

import contextlib
import functools
from collections.abc import Mapping
from pathlib import Path

import jax
import numpy as np
from etils import epath
from flax import traverse_util

from flamingo_jax import config as config_lib
from flamingo_jax.interop.canonical import flatten_shapes, places
from flamingo_jax.interop.files.tensors import TensorFile, TensorSpec
from flamingo_jax.models.flamingo import Flamingo, FlamingoConfig
from flamingo_jax.training.run import RunConfig
from flamingo_jax.training.state import abstract_params, flat_shapes

GOLDENS = Path(__file__).parents[2] / "goldens"


class MemoryFile(TensorFile):
    """Tensors as an opened file."""

    def __init__(self, tensors: Mapping[str, np.ndarray], name: str = "memory"):
        self._tensors = dict(tensors)
        specs = {name: TensorSpec(tensor.shape, tensor.dtype) for name, tensor in tensors.items()}
        super().__init__(epath.Path(name), specs, {})

    @property
    def specs(self) -> dict[str, TensorSpec]:
        """Of all tensors."""
        return {name: self.spec(name) for name in self}

    def _read(self, name: str) -> np.ndarray:
        return self._tensors[name]


def preset(name: str) -> FlamingoConfig:
    """The model of a file in gin/models, which includes files by paths from the repository's root."""
    with contextlib.chdir(GOLDENS.parents[1]):
        files = [f"gin/models/{name}.gin", "gin/data/paper.gin", "gin/optim/adamw.gin"]
        return config_lib.resolve(RunConfig, files, []).model


def golden(name: str) -> dict[str, np.ndarray]:
    """The arrays of a golden file; weights, which it stores as float16, in the float32 that they are."""
    with np.load(GOLDENS / f"{name}.npz") as file:
        arrays = {key: file[key] for key in file.files}
    return {key: array.astype(np.float32) if array.dtype == np.float16 else array for key, array in arrays.items()}


@functools.cache
def shapes(config: FlamingoConfig) -> dict[str, tuple[int, ...]]:
    """The shape of each parameter of the model by canonical name."""
    return flatten_shapes(_leaves(config), config.plan)


def logits(
    config: FlamingoConfig,
    parameters: Mapping[str, np.ndarray],
    tokens: np.ndarray,
    mask: np.ndarray,
    image_index: np.ndarray,
    images: np.ndarray,
) -> np.ndarray:
    """Our logits `[rows, length, vocabulary]`, for rows that are padded where `mask` is 0, and still images."""
    leaves = _leaves(config)
    where = places(leaves, config.plan)
    stacks = {path: np.full(shape, np.nan, np.float32) for path, shape in leaves.items()}
    for name, parameter in parameters.items():
        place = where[name]
        stacks[place.path][place.index] = parameter
    frames = images[:, :, None]
    inputs = {
        "tokens": tokens,
        "segment_ids": mask,
        "positions": np.maximum(np.cumsum(mask, axis=1) - 1, 0),
        "image_index": image_index,
        "images": frames,
        "frame_mask": np.ones(frames.shape[:3], bool),
    }
    return np.asarray(_forward(config)({"params": traverse_util.unflatten_dict(stacks, sep="/")}, **inputs))


def relative_error(ours: np.ndarray, theirs: np.ndarray) -> float:
    """The largest difference over the largest number."""
    return float(np.abs(ours - theirs).max() / np.abs(theirs).max())


@functools.cache
def _leaves(config: FlamingoConfig) -> dict[str, tuple[int, ...]]:
    return {path: leaf.shape for path, leaf in flat_shapes(abstract_params(Flamingo(config))).items()}


@functools.cache
def _forward(config: FlamingoConfig):
    return jax.jit(Flamingo(config).apply)
