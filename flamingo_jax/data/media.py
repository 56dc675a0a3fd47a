"""Images and clips of a document as the pixel block of an example."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, UInt8

from flamingo_jax.data.dataset_config import DatasetConfig
from flamingo_jax.data.document import Image, Video
from flamingo_jax.data.errors import MediaError
from flamingo_jax.data.images import finish_image, load_image
from flamingo_jax.data.video import load_clip


def load_media(
    media: Sequence[Image | Video], capacity: int, config: DatasetConfig, rng: np.random.Generator | None
) -> tuple[UInt8[np.ndarray, "capacity frames size size 3"], Bool[np.ndarray, "capacity frames"]]:
    """Decodes these images and clips, and nothing else, into a block of `capacity` places.

    A still fills the first of its `config.num_frames` frames, the others are zero. A clip that is too short repeats its
    last frame. Zero and repeated frames have mask False.

    Args:
      rng: for the clips' starts and the augmentation; None: clips from 0, no augmentation.

    Raises:
      MediaError: one of them cannot be decoded; the message names its source.
    """
    size, frames = config.image_size, config.num_frames
    block = np.zeros((capacity, frames, size, size, 3), np.uint8)
    mask = np.zeros((capacity, frames), bool)
    for place, item in enumerate(media):
        try:
            if isinstance(item, Image):
                pictures = [load_image(item.encoded, size=size, max_pixels=config.max_pixels)]
            else:
                pictures = load_clip(
                    item.encoded,
                    num_frames=frames,
                    frame_rate=config.frame_rate,
                    size=size,
                    max_pixels=config.max_pixels,
                    rng=rng,
                    span=item.span,
                )
        except MediaError as error:
            raise MediaError(f"{item.source or 'a medium without a source'}: {error}") from error
        change = None if rng is None else config.augment.draw(rng)
        for frame, picture in enumerate(pictures):
            block[place, frame] = finish_image(picture, size=size, pad_value=config.pad_value, change=change)
        if isinstance(item, Video):
            block[place, len(pictures) :] = block[place, len(pictures) - 1]
        mask[place, : len(pictures)] = True
    return block, mask
