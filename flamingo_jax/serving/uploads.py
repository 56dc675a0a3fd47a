"""Files that strangers send: pictures and clips by their content, whatever their names say."""

import dataclasses
import io
import textwrap

import av
from PIL import Image as Picture
from PIL import UnidentifiedImageError

from flamingo_jax.data.document import Image, Video
from flamingo_jax.data.errors import MediaError
from flamingo_jax.data.images import MAX_PIXELS_LIMIT, image_formats, load_image
from flamingo_jax.data.video import CONTAINERS, first_frame

_CHECKED_SIZE = 64  # pixels that the first frame is scaled to; what it shows is not looked at
_LONGEST_NAME = 60
# Pictures in the container of MP4 (ISO 23008-12), which FFmpeg would show as clips where Pillow refuses them.
_STILL_BRANDS = (b"ftypavif", b"ftypavis", b"ftypheic", b"ftypheix", b"ftypmif1", b"ftypmsf1")


class UploadError(ValueError):
    """A file that is not taken; the message is one line that names it."""


@dataclasses.dataclass(frozen=True)
class Limits:
    """What is taken.

    Attributes:
      bytes: of a file.
      pixels: of a picture; as many as `DatasetConfig.max_pixels` lets through.
      frame_pixels: of a clip's frames; 4096 x 2160 is what cinemas call 4K.
      seconds: of a clip.
      frames: of a clip; ten minutes at 60 a second.

    Raises:
      ValueError: a limit is out of range.
    """

    bytes: int = 20_000_000
    pixels: int = 64_000_000
    frame_pixels: int = 4096 * 2160
    seconds: float = 600.0
    frames: int = 36_000

    def __post_init__(self):
        for field in dataclasses.fields(self):
            most = MAX_PIXELS_LIMIT if field.name.endswith("pixels") else float("inf")
            if not 0 < getattr(self, field.name) <= most:
                raise ValueError(f"Limits.{field.name} is {getattr(self, field.name)}: above 0, at most {most}")


DEFAULT = Limits()


def check_upload(name: str, encoded: bytes, limits: Limits = DEFAULT) -> Image | Video:
    """The picture or clip that a file is, after its first frame was decoded; an animated picture is its first frame.

    Sizes are read from the header, so what is too large is refused before any of it is decoded.

    Args:
      name: what to call the file in messages; says nothing of what it is.

    Raises:
      UploadError: it is neither a picture nor a clip, too large, or damaged.
    """
    name = shown_name(name)
    if not encoded:
        raise UploadError(f"{name} is empty")
    if len(encoded) > limits.bytes:
        raise UploadError(f"{name} has {len(encoded)} bytes: at most {limits.bytes} are taken")
    try:
        if _is_picture(encoded):
            load_image(encoded, size=_CHECKED_SIZE, max_pixels=limits.pixels)
            return Image(encoded, name)
        _check_clip(encoded, limits)
        return Video(encoded, name)
    except MediaError as error:
        raise UploadError(f"{name}: {' '.join(str(error).split())}") from error


def picture_pixels(encoded: bytes) -> int:
    """Pixels that a picture's header says it has, of which nothing is decoded; 0: it is none that can be read."""
    try:
        with Picture.open(io.BytesIO(encoded), formats=image_formats()) as picture:
            return picture.width * picture.height
    except Exception:  # what headers that are broken raise is an open set
        return 0


def shown_name(name: str) -> str:
    """A stranger's text as a part of one line."""
    printable = "".join(letter if letter.isprintable() else " " for letter in name[: 10 * _LONGEST_NAME])
    short = " ".join(printable.split()) or "a file without a name"
    return textwrap.shorten(short, _LONGEST_NAME, placeholder="...") if " " in short else short[:_LONGEST_NAME]


def _is_picture(encoded: bytes) -> bool:
    if encoded[4:12] in _STILL_BRANDS:
        return True
    try:
        with Picture.open(io.BytesIO(encoded), formats=image_formats()):
            return True
    except UnidentifiedImageError:
        return False
    except Exception:  # a picture with something wrong about it: `load_image` says what
        return True


def _check_clip(encoded: bytes, limits: Limits) -> None:
    """Raises MediaError unless the clip's header, its number of frames and its first frame are in order."""
    known = f"neither a picture ({', '.join(image_formats())}) nor a clip (MP4, WebM, AVI, ...)"
    try:
        container = av.open(io.BytesIO(encoded), options={"format_whitelist": CONTAINERS})
    except Exception as error:  # FFmpeg's errors are of many kinds; here they all mean that it is none
        raise MediaError(known) from error
    with container:
        if not container.streams.video:
            raise MediaError(f"{known}: there is no picture in it")
        stream = container.streams.video[0]
        if stream.width * stream.height > limits.frame_pixels:
            raise MediaError(
                f"a clip of {stream.width} x {stream.height} pixels (at most {limits.frame_pixels} are decoded)"
            )
        seconds = float(container.duration / av.time_base) if container.duration is not None else 0.0
        if seconds > limits.seconds:
            raise MediaError(f"a clip of {seconds:.0f} seconds (at most {limits.seconds:g} are taken)")
        _count_frames(container, stream, limits.frames)
    first_frame(encoded, size=_CHECKED_SIZE, max_pixels=limits.frame_pixels)


def _count_frames(container: av.container.InputContainer, stream: av.VideoStream, most: int) -> None:
    """Raises MediaError if there are more: a header may claim any length. Packets are counted, nothing is decoded."""
    try:
        for count, _ in enumerate(container.demux(stream)):
            if count > most:
                raise MediaError(f"a clip of more than {most} frames")
    except av.error.FFmpegError:
        return  # cut off here: so does a player, and the frames before count
