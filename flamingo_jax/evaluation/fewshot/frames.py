"""How many frames of a clip the model sees."""

import dataclasses
import logging
from collections.abc import Mapping
from typing import Any

from flamingo_jax.data.dataset_config import DatasetConfig
from flamingo_jax.data.pairs import VideoConfig
from flamingo_jax.evaluation.fewshot.splits import Split

_logger = logging.getLogger(__name__)


def with_frames(pixels: DatasetConfig, split: Split) -> DatasetConfig:
    """How pictures and clips are prepared: those of a mixture without clips as the paper shows them to its models.

    Left as they are for stills, clips would be answered from their first frame alone.

    Args:
      pixels: as the mixture has them (`session.trained_pixels`).
    """
    if not _clips(split) or isinstance(pixels, VideoConfig) or pixels.num_frames > 1:
        return pixels
    frames, rate = VideoConfig.inference_frames, VideoConfig.inference_frame_rate
    _logger.warning("the model was trained without clips: they are shown as %d frames at %g a second", frames, rate)
    return dataclasses.replace(pixels, num_frames=frames, frame_rate=rate)


def clip_facts(pixels: DatasetConfig, split: Split) -> Mapping[str, Any]:
    """The same for settings and summaries, as `clips`; nothing where no clip is shown."""
    if not _clips(split):
        return {}
    return {"clips": {"frames": pixels.num_frames, "frame_rate": pixels.frame_rate}}


def _clips(split: Split) -> bool:
    return any(item.medium.video for items in (split.queries, split.support) for item in items)
