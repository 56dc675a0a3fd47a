"""What of a medium is compared: a still as it is, of a clip the first frame."""

import io

from flamingo_jax.data.document import Image, Video
from flamingo_jax.data.images import MAX_PIXELS_LIMIT
from flamingo_jax.data.video import first_frame

_FRAME = 512  # pixels of the longer side; the fingerprint needs 256


def still_of(medium: Image | Video) -> bytes:
    """An image file: the image's own, or the first frame that a clip shows, as a file of its own.

    Two cuts of one film that begin at different times have different first frames, and will not be found.

    Raises:
      MediaError: a clip cannot be decoded.
    """
    if isinstance(medium, Image):
        return medium.encoded
    frame = first_frame(medium.encoded, size=_FRAME, max_pixels=MAX_PIXELS_LIMIT, span=medium.span)
    file = io.BytesIO()
    frame.convert("RGB").save(file, "bmp")  # the same pixels are the same bytes
    return file.getvalue()
