"""Which image files are worth keeping: one function a rule, cheap ones first, one decode for each file.

The sides and the aspect ratio are the paper's (Flamingo, appendix A.3.1); the other limits keep bad files out.
"""

import dataclasses
import functools
import io
import re
import warnings
from collections.abc import Iterator

import numpy as np
from PIL import Image, ImageStat, UnidentifiedImageError

# What Pillow decodes by itself. Others are left out on purpose: EPS, for one, would start Ghostscript.
FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "AVIF")
# A progressive JPEG has about ten scans. Each costs a pass over all pixels and may be a hundred bytes long, so a file
# of megabytes could keep a decoder busy for an hour.
_MAX_SCANS = 100
_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")  # neither stuffing nor a restart: the end of a scan's data
_STRIP_PIXELS = 1 << 20


def _threshold(default: float, description: str):
    return dataclasses.field(default=default, metadata={"help": description})


@dataclasses.dataclass(frozen=True)
class ImageRules:
    """Limits of an image file."""

    min_side: int = _threshold(64, "drop an image whose shorter side has fewer pixels")
    max_aspect: float = _threshold(3.0, "drop an image whose longer side is more than this many times the shorter")
    max_pixels: int = _threshold(50_000_000, "drop an image with more pixels, before it is decoded")
    max_bytes: int = _threshold(50_000_000, "drop an image file with more bytes")
    min_deviation: float = _threshold(
        2.0, "drop an image as single-coloured when no channel (0..255) has a greater standard deviation"
    )


@functools.cache
def available_formats() -> tuple[str, ...]:
    """Those of `FORMATS` that this build of Pillow has; it fails on a name that it does not know."""
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def bad_bytes(size: int, rules: ImageRules) -> str | None:
    """An empty file, or one over the limit; `size` in bytes."""
    if size == 0:
        return "image_empty"
    return "image_too_many_bytes" if size > rules.max_bytes else None


def bad_shape(width: int, height: int, rules: ImageRules) -> str | None:
    """A side too short, a shape too long, or too many pixels; sides in pixels."""
    shorter, longer = sorted((width, height))
    if shorter < rules.min_side:
        return "image_too_small"
    if longer > rules.max_aspect * shorter:
        return "image_too_elongated"
    return "image_too_many_pixels" if width * height > rules.max_pixels else None


def is_single_colour(image: Image.Image, rules: ImageRules) -> bool:
    """Whether no channel varies, with transparent parts shown on white."""
    if image.mode.startswith("I"):  # more than 8 bits: bring the range that is used to 8
        levels = np.asarray(image, np.float32)
        return float(levels.std()) * 255 / max(float(np.ptp(levels)), 1e-9) <= rules.min_deviation
    histograms = [strip.histogram() for strip in _strips(image)]
    return max(ImageStat.Stat([sum(bins) for bins in zip(*histograms, strict=True)]).stddev) <= rules.min_deviation


def _strips(image: Image.Image) -> Iterator[Image.Image]:
    """The image in pieces of 8-bit grey or RGB, so that no second copy of a large one is in memory."""
    rows = max(1, _STRIP_PIXELS // image.width)
    for top in range(0, image.height, rows):
        strip = image.crop((0, top, image.width, min(top + rows, image.height)))
        if "transparency" in image.info or image.mode in ("RGBA", "LA", "PA", "RGBa", "La"):
            strip = strip.convert("RGBA")
            strip = Image.alpha_composite(Image.new("RGBA", strip.size, "white"), strip).convert("RGB")
        yield strip if strip.mode in ("RGB", "L") else strip.convert("RGB")


def _too_many_scans(encoded: bytes) -> bool:
    """Whether a JPEG file goes over its pixels more than `_MAX_SCANS` times."""
    at, scans = 2, 0
    while (marker := _MARKER.search(encoded, at)) and marker[0] != b"\xff\xd9" and scans <= _MAX_SCANS:
        scans += marker[0] == b"\xff\xda"
        at = marker.end() + int.from_bytes(encoded[marker.end() : marker.end() + 2], "big")
    return scans > _MAX_SCANS


def reason(encoded: bytes, rules: ImageRules) -> str | None:
    """The rule that an image file breaks, or None.

    Size, shape and pixels are read from the header; only then is the file decoded, once, to its end, so that a
    truncated file is found.
    """
    if rule := bad_bytes(len(encoded), rules):
        return rule
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of large images and odd metadata; both are dealt with here
        try:
            with Image.open(io.BytesIO(encoded), formats=available_formats()) as image:
                if rule := bad_shape(*image.size, rules):
                    return rule
                # Floats and 32-bit integers have no fixed range: which of them is white? The loader refuses them.
                if image.mode == "F" or (image.mode == "I" and image.format == "TIFF"):
                    return "image_undecodable"
                if image.format in ("JPEG", "MPO"):  # still reads the whole file, but transforms less
                    if _too_many_scans(encoded):
                        return "image_too_many_scans"
                    image.draft("RGB", (image.width // 8, image.height // 8))
                image.load()
                return "image_single_colour" if is_single_colour(image, rules) else None
        except Image.DecompressionBombError:
            return "image_too_many_pixels"
        except UnidentifiedImageError:
            return "image_vector" if b"<svg" in encoded[:4096].lower() else "image_undecodable"
        except (
            Exception
        ):  # what Pillow's readers raise on broken files is an open set: OSError, SyntaxError, struct.error
            return "image_undecodable"
