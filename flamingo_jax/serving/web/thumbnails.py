"""Small pictures of what the user sent."""

import collections
import threading

from flamingo_jax.data.document import Image, Video
from flamingo_jax.data.images import load_image
from flamingo_jax.data.video import first_frame
from flamingo_jax.html.pictures import data_uri
from flamingo_jax.inference.media import media_key

SIDE = 320
"""Pixels of the longer side: twice what the page shows, for screens with dense pixels."""
_MOST_PIXELS = 64_000_000  # as datasets have it (DatasetConfig.max_pixels)


class Thumbnails:
    """Makes thumbnails, and remembers those that were asked for last by what files hold: no file is kept for them."""

    def __init__(self, most: int):
        """
        Args:
          most: thumbnails to remember, of some 10 to 30 kB each.
        """
        self._most = most
        self._known: collections.OrderedDict[bytes, str] = collections.OrderedDict()
        self._lock = threading.Lock()

    def __call__(self, medium: Image | Video) -> str:
        """As `thumbnail`."""
        key = media_key(medium)
        with self._lock:
            if key in self._known:
                self._known.move_to_end(key)
                return self._known[key]
        made = thumbnail(medium)
        with self._lock:
            self._known[key] = made
            if len(self._known) > self._most:
                self._known.popitem(last=False)
        return made


def thumbnail(medium: Image | Video) -> str:
    """A picture, or a clip's first frame, as a data URI.

    Raises:
      MediaError: it cannot be decoded.
    """
    if isinstance(medium, Image):
        return data_uri(load_image(medium.encoded, size=SIDE, max_pixels=_MOST_PIXELS))
    return data_uri(first_frame(medium.encoded, size=SIDE, max_pixels=_MOST_PIXELS, span=medium.span))
