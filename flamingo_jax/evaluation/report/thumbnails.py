"""Pictures of the held-out set as small data URIs, so that the page needs no other file."""

import base64
import binascii
import io

from etils import epath
from PIL import Image

from flamingo_jax.html.pictures import data_uri

_MAX_PIXELS = 100_000_000  # a picture of more is not decoded: a small file can unpack into gigabytes


def thumbnail(image: object, workdir: epath.Path, side: int) -> str:
    """A data URI of `image`, scaled down (never up) to at most `side` px in width and height.

    Args:
      image: base64 of an image file, such a data URI, or a path below `workdir`.
      workdir: what a path is relative to.
      side: the longer side, in px.

    Returns:
      PNG or JPEG, whichever is smaller; transparency is put on white.

    Raises:
      ValueError: there is no image, it cannot be decoded, or the path leads out of `workdir`.
    """
    encoded = _bytes_of(image, workdir)
    try:
        with Image.open(io.BytesIO(encoded)) as picture:
            if picture.width * picture.height > _MAX_PIXELS:
                raise ValueError(f"{picture.width} x {picture.height} px is too large to show")
            picture.draft("RGB", (2 * side, 2 * side))
            small = _on_white(picture)
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f"not an image that can be decoded ({error})") from error
    small.thumbnail((side, side), Image.Resampling.LANCZOS)
    return data_uri(small)


def _on_white(picture: Image.Image) -> Image.Image:
    if "A" not in picture.getbands() and "transparency" not in picture.info:
        return picture.convert("RGB")
    with_alpha = picture.convert("RGBA")
    canvas = Image.new("RGB", picture.size, "white")
    canvas.paste(with_alpha, mask=with_alpha.getchannel("A"))
    return canvas


def _bytes_of(image: object, workdir: epath.Path) -> bytes:
    if not isinstance(image, str) or not image:
        raise ValueError("no image was stored")
    if image.startswith("data:"):
        image = image.partition(",")[2]
    elif len(image) < 1000 and (path := _below(image, workdir)) is not None:
        return path.read_bytes()
    try:
        return base64.b64decode(image, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError("neither base64 nor the path of a file below the run's directory") from error


def _below(image: str, workdir: epath.Path) -> epath.Path | None:
    """The file that `image` names inside `workdir`, if it does."""
    parts = image.split("/")
    if image.startswith("/") or "\\" in image or "\0" in image or ".." in parts or "://" in image:
        return None
    try:
        path = workdir / image
        return path if path.exists() and not path.is_dir() else None
    except OSError:
        return None
