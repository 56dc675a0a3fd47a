"""Encoded images to square uint8 arrays: decoded, resized with the aspect ratio kept, augmented, padded."""

import dataclasses
import functools
import io
import math

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageOps, UnidentifiedImageError

from flamingo_jax.data.errors import MediaError

MAX_PIXELS_LIMIT = 178_956_970
"""Pillow refuses more than this (2 * Image.MAX_IMAGE_PIXELS) by itself."""

# Pillow also opens formats that run other programs (EPS) or fetch other files; the web's own are enough. Its reader of
# JPEG opens the cameras' MPO, too.
_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
_SIXTEEN_BIT = ("I;16", "I;16L", "I;16B", "I;16N")
_ORIENTATION_TAG = 0x0112
_PHOTOMETRIC_TAG, _WHITE_IS_ZERO = 262, 0  # TIFF 6.0, section 8
_STRIP_PIXELS = 1 << 20
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, as Pillow's mode "L".


@dataclasses.dataclass(frozen=True, slots=True)
class Change:
    """One draw of the augmentation: whether to mirror, and the factors (1 = as it was)."""

    mirror: bool
    brightness: float
    contrast: float
    saturation: float


@dataclasses.dataclass(frozen=True)
class Augmentation:
    """Random left/right flip and colour changes, drawn anew for each image (for a clip, once for all its frames).

    The paper names "random left/right flip" and "colour augmentation" and states no strengths; the defaults here are
    mild, so that captions which name colours stay true. A strength s draws a factor uniformly from [1 - s, 1 + s].
    A flip makes "left" and "right" in the text untrue: switch it off where that matters.

    Attributes:
      flip: mirror with probability 0.5.
      brightness, contrast, saturation: strengths from 0 (off) to 1.
    """

    flip: bool = True
    brightness: float = 0.1
    contrast: float = 0.1
    saturation: float = 0.1

    def __post_init__(self):
        for name in ("brightness", "contrast", "saturation"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"Augmentation.{name} must lie in [0, 1], got {getattr(self, name)}")

    def draw(self, rng: np.random.Generator) -> Change:
        """Always takes four numbers from `rng`, so that switching one change off leaves the others as they were."""
        mirror, *unit = rng.random(4).tolist()
        strengths = (self.brightness, self.contrast, self.saturation)
        factors = (1 + strength * (2 * value - 1) for strength, value in zip(strengths, unit, strict=True))
        return Change(self.flip and mirror < 0.5, *factors)


def load_image(encoded: bytes, *, size: int, max_pixels: int) -> Image.Image:
    """The image upright, in RGB, resized so that its longer side is `size` pixels.

    Palettes, grey, CMYK and 16-bit grey become 8-bit RGB; what is transparent becomes white, the colour of most pages;
    of an animation the first frame is taken. Large JPEGs are decoded at the nearest smaller power-of-two scale. Broken
    metadata costs nothing but themselves.

    Raises:
      MediaError: not an image of a known format, truncated, corrupt, or of more than `max_pixels` pixels.
    """
    try:
        with Image.open(io.BytesIO(encoded), formats=image_formats()) as image:
            if image.width * image.height > max_pixels:
                raise MediaError(
                    f"an image of {image.width} x {image.height} pixels (at most {max_pixels} are decoded)"
                )
            image.draft("RGB", _fit(image.size, size))
            image.load()
            orientation = _orientation(image)
            rgb = resize(_to_rgb(image), size)
    except MediaError:
        raise
    except MemoryError:
        raise
    except UnidentifiedImageError:
        known = ", ".join(image_formats())
        raise MediaError(f"{len(encoded)} bytes that are no image of the formats {known}") from None
    except Exception as error:  # Decoders meet damage with errors of a dozen kinds.
        raise MediaError(f"an image of {len(encoded)} bytes cannot be decoded: {error}") from error
    return rgb.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else rgb


def resize(image: Image.Image, size: int) -> Image.Image:
    """The image with its longer side `size` pixels long and its aspect ratio kept (bicubic, antialiased).

    What is at least twice as large is averaged down by a whole factor first, as JPEGs are when they are decoded.
    """
    fitted = _fit(image.size, size)
    return image if image.size == fitted else image.resize(fitted, Image.Resampling.BICUBIC, reducing_gap=1.0)


def finish_image(
    image: Image.Image, *, size: int, pad_value: tuple[int, int, int], change: Change | None
) -> UInt8[np.ndarray, "size size 3"]:
    """The resized RGB image, changed (not at all if None), in the middle of a `size` x `size` square of `pad_value`."""
    if change is not None:
        image = _recolour(image, change)
        if change.mirror:
            image = ImageOps.mirror(image)
    if image.size == (size, size):
        return np.asarray(image)
    square = Image.new("RGB", (size, size), tuple(map(int, pad_value)))
    square.paste(image, ((size - image.width) // 2, (size - image.height) // 2))
    return np.asarray(square)


@functools.cache
def image_formats() -> tuple[str, ...]:
    """The formats that are read: of `_FORMATS`, those that this build of Pillow has (it fails on a name it lacks)."""
    Image.init()
    return tuple(name for name in _FORMATS if name in Image.OPEN)


def _orientation(image: Image.Image) -> int:
    """How a loaded image is still to be turned, as EXIF counts; Pillow turns TIFF files itself as it loads them."""
    try:
        return image.getexif().get(_ORIENTATION_TAG, 1)
    except Exception:  # what Pillow's EXIF reader raises on broken blocks is an open set
        return 1


def _fit(shape: tuple[int, int], size: int) -> tuple[int, int]:
    scale = size / max(shape)
    return max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale))


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "RGB":
        return image
    if image.mode in _SIXTEEN_BIT:
        levels = (np.asarray(image) >> 8).astype(np.uint8)
        return Image.fromarray(255 - levels if _white_is_zero(image) else levels).convert("RGB")
    if image.mode == "I" and image.format != "TIFF":  # 32 bits that hold 16, as older Pillows read PNG files.
        return Image.fromarray((np.asarray(image).clip(0, 65535) >> 8).astype(np.uint8)).convert("RGB")
    if image.mode in ("I", "F"):
        raise MediaError("an image with signed, 32-bit or floating-point samples, whose range no standard fixes")
    return _on_white(image) if image.has_transparency_data else image.convert("RGB")


def _white_is_zero(image: Image.Image) -> bool:
    """Whether this is a TIFF file of inverted grey, which Pillow inverts back for 8 bits only."""
    return image.format == "TIFF" and image.tag_v2.get(_PHOTOMETRIC_TAG) == _WHITE_IS_ZERO


def _on_white(image: Image.Image) -> Image.Image:
    """What shows of an image with transparency on a white page.

    Strip by strip, so that a large image is in memory twice and not four times.
    """
    page = Image.new("RGB", image.size, "white")
    if image.mode == "RGBA":
        page.paste(image, mask=image)
        return page
    rows = max(1, _STRIP_PIXELS // image.width)
    for top in range(0, image.height, rows):
        strip = image.crop((0, top, image.width, min(top + rows, image.height))).convert("RGBA")
        page.paste(strip, (0, top), mask=strip)
    return page


def _recolour(image: Image.Image, change: Change) -> Image.Image:
    # Brightness b, then contrast c around the mean luma m, then saturation s around each pixel's luma: all three are
    # affine, so they make one 3 x 4 matrix, which Pillow applies (and clips) in a single pass.
    b, c, s = change.brightness, change.contrast, change.saturation
    if b == c == s == 1:
        return image
    mean = sum(weight * value for weight, value in zip(_LUMA, _average(image), strict=True))
    matrix = []
    for row in range(3):
        matrix += [b * c * ((1 - s) * weight + (s if row == column else 0)) for column, weight in enumerate(_LUMA)]
        matrix.append((1 - c) * b * mean)
    return image.convert("RGB", tuple(matrix))


def _average(image: Image.Image) -> tuple[int, int, int]:
    """Red, green and blue of 32 x 32 pixels spread over the image, which is near enough to those of all."""
    few = image.resize((32, 32), Image.Resampling.NEAREST)
    return few.resize((1, 1), Image.Resampling.BOX).getpixel((0, 0))


def check_image_options(*, size: int, pad_value: tuple[int, int, int], max_pixels: int) -> None:
    """Raises ValueError if an option lies outside its range."""
    if size < 1:
        raise ValueError(f"image_size must be positive, got {size}")
    if len(pad_value) != 3 or not all(0 <= value <= 255 for value in pad_value):
        raise ValueError(f"pad_value must be three numbers from 0 to 255 (red, green, blue), got {pad_value}")
    if not 0 < max_pixels <= MAX_PIXELS_LIMIT or math.isnan(max_pixels):
        raise ValueError(f"max_pixels must lie in [1, {MAX_PIXELS_LIMIT}], got {max_pixels}")
