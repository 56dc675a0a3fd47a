"""What the header of an encoded image or clip says, without decoding it."""

import dataclasses
import io
import math

import av
from PIL import Image as Picture

from flamingo_jax.data.document import Image, Video
from flamingo_jax.data.images import image_formats


@dataclasses.dataclass(frozen=True)
class MediumFacts:
    """One medium.

    Attributes:
      format: "PNG", "h264" and so on; empty if the header cannot be read.
      width, height: in pixels, before any turning; 0 if unknown.
      seconds: of a clip; 0 for stills, and if unknown.
      size: of the encoded file, in bytes.
    """

    format: str
    width: int
    height: int
    seconds: float
    size: int

    @property
    def known(self) -> bool:
        """Whether the header could be read."""
        return bool(self.format)


def medium_facts(medium: Image | Video) -> MediumFacts:
    """What the header says; never raises for what is in the bytes."""
    read = _image if isinstance(medium, Image) else _clip
    try:
        form, width, height, seconds = read(medium.encoded)
    except Exception as error:  # readers of headers meet damage with errors of a dozen kinds
        if isinstance(error, MemoryError) and not isinstance(error, av.error.FFmpegError):
            raise
        form, width, height, seconds = "", 0, 0, 0.0
    return MediumFacts(form, width, height, seconds, len(medium.encoded))


def _image(encoded: bytes) -> tuple[str, int, int, float]:
    with Picture.open(io.BytesIO(encoded), formats=image_formats()) as image:
        return image.format or "", image.width, image.height, 0.0


def _clip(encoded: bytes) -> tuple[str, int, int, float]:
    with av.open(io.BytesIO(encoded)) as container:
        stream = container.streams.video[0]
        seconds = (container.duration or 0) / av.time_base
        return stream.codec_context.name, stream.width, stream.height, seconds if math.isfinite(seconds) else 0.0
