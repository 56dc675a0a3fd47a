"""Small pictures of what the user sent."""

from flamingo_jax.data.document import Image, Video
from flamingo_jax.data.images import load_image
from flamingo_jax.data.video import load_clip
from flamingo_jax.html.pictures import data_uri

SIDE = 320
"""Pixels of the longer side: twice what the page shows, for screens with dense pixels."""
_MOST_PIXELS = 64_000_000  # as datasets have it (DatasetConfig.max_pixels)


def thumbnail(medium: Image | Video) -> str:
    """A picture, or a clip's first frame, as a data URI.

    Raises:
      MediaError: it cannot be decoded.
    """
    if isinstance(medium, Image):
        return data_uri(load_image(medium.encoded, size=SIDE, max_pixels=_MOST_PIXELS))
    frames = load_clip(
        medium.encoded,
        num_frames=1,
        frame_rate=1.0,
        size=SIDE,
        max_pixels=_MOST_PIXELS,
        rng=None,
        span=medium.span,
    )
    return data_uri(frames[0])
