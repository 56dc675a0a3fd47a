"""Reading files of a benchmark on several processes, which must go on alike or not at all."""

import dataclasses
from collections.abc import Sequence

import jax

from flamingo_jax.config import ConfigError
from flamingo_jax.data.dataset_config import DatasetConfig
from flamingo_jax.data.document import Image, Video
from flamingo_jax.data.errors import MediaError
from flamingo_jax.data.media import load_media
from flamingo_jax.evaluation.benchmarks.benchmark import MediaFile
from flamingo_jax.evaluation.fewshot.shown import load_all
from flamingo_jax.parallel.hosts import any_of


def load_together(pixels: DatasetConfig, media: Sequence[MediaFile]) -> list[Image | Video]:
    """As `load_all`; where one process cannot read or decode a file, none goes on to what the others would wait for.

    Args:
      pixels: how files become pictures.

    Raises:
      ConfigError, MediaError: on all processes.
    """
    if jax.process_count() == 1:
        return load_all(media)
    loaded, error = [], None
    try:
        loaded = load_all(media)
        for medium in loaded:  # once more than needed: what comes next is of all processes together
            frames = pixels.num_frames if isinstance(medium, Video) else 1
            load_media([medium], 1, dataclasses.replace(pixels, num_frames=frames), None)
    except (ConfigError, MediaError) as found:
        error = found
    if any_of(error is not None):
        raise error or MediaError("a file that another process cannot read; its log names it")
    return loaded
