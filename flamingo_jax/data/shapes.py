"""The shapes of a mixture's batches, from its configuration alone."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from flamingo_jax.data.dataset_config import DatasetConfig
from flamingo_jax.data.example import DATASET_KEY, Batch
from flamingo_jax.data.mixture import MixtureConfig
from flamingo_jax.data.schedule import MERGED, Schedule


def batch_shapes(config: MixtureConfig) -> dict[tuple[str, ...], dict[str, Batch]]:
    """What `Mixture.batch` gives, all zeros and without memory of its own, for each kind of step.

    Returns:
      Datasets of a step -> its batch. With all strategies but "round_robin" there is one kind of step.
    """
    datasets = dict(config.datasets)
    schedule = Schedule(config.strategy, list(datasets), config.turns)
    kinds = {}
    for names in schedule.cycle:
        parts = {name: _batch(datasets[name]) for name in names}
        kinds[names] = {MERGED: _merged(list(parts.values()))} if config.strategy == MERGED else parts
    return kinds


def count_tokens(parts: Mapping[str, Mapping[str, Any]]) -> int:
    """Positions of the language model in a step's batch, padding too."""
    return sum(part["tokens"].size for part in parts.values())


def count_images(parts: Mapping[str, Mapping[str, Any]]) -> int:
    """Images or frames that the encoder reads in a step's batch, padding too."""
    return sum(part["frame_mask"].size for part in parts.values())


def _batch(dataset: DatasetConfig) -> Batch:
    rows, length, size = dataset.batch_size, dataset.length, dataset.image_size
    images, frames = dataset.images_per_row, dataset.num_frames
    pixels = (size, size, 3) if images else (1, 1, 3)
    text = ("tokens", "segment_ids", "positions", "image_index", "image_first")
    return {
        **{key: _zeros((rows, length), np.int32) for key in text},
        "loss_mask": _zeros((rows, length), bool),
        "images": _zeros((rows, images, frames, *pixels), np.uint8),
        "frame_mask": _zeros((rows, images, frames), bool),
        "skipped": _zeros((rows,), np.int32),
    }


def _merged(batches: list[Batch]) -> Batch:
    rows = sum(len(batch["tokens"]) for batch in batches)
    found = {}
    for key in batches[0]:
        largest = np.max([batch[key].shape[1:] for batch in batches], axis=0).astype(int)
        found[key] = _zeros((rows, *map(int, largest)), batches[0][key].dtype)
    return found | {DATASET_KEY: _zeros((rows,), np.int32)}


def _zeros(shape: tuple[int, ...], dtype: type) -> np.ndarray:
    return np.broadcast_to(np.zeros((), dtype), shape)
