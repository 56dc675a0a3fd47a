"""The images and clips of a row, or of a document, as figures."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, UInt8
from PIL import Image as Picture

from flamingo_jax.data.document import Image, Video
from flamingo_jax.data.errors import MediaError
from flamingo_jax.data.images import load_image
from flamingo_jax.data.inspect.media_facts import medium_facts
from flamingo_jax.data.inspect.tokens import colour
from flamingo_jax.data.video import load_clip
from flamingo_jax.html.markup import Html, tag, void
from flamingo_jax.html.pictures import data_uri

STILL, FRAME = 160, 80  # pixels of the longer side, in a row
_LARGE = 260  # that of a still in a document
_FRAMES = 8  # of a document's clip, one a second
_MAX_PIXELS = 64_000_000


def row_image(
    place: int,
    frames: UInt8[np.ndarray, "frames height width 3"],
    mask: Bool[np.ndarray, " frames"],
    seen: int,
    medium: Image | Video,
) -> Html:
    """One image of a row as the model gets it: changed, padded, with the frames that a clip repeats dimmed.

    Args:
      place: counted from 1, as `image_index` does.
      seen: how many tokens see it.
      medium: where it comes from.
    """
    kept = len(frames) if isinstance(medium, Video) else 1
    side = FRAME if kept > 1 else STILL
    strip = [_img(Picture.fromarray(frames[at]), side, not mask[at]) for at in range(kept)]
    told = f"{seen:,} tokens see it" if seen else "no token sees it"
    lines = [tag("b", place, class_=f"number {colour(place)}"), tag("span", told, class_=None if seen else "unseen")]
    return _figure(strip, lines, medium, f"figure {colour(place)}{' one' if kept == 1 else ''}")


def document_medium(place: int, medium: Image | Video) -> Html:
    """One image or clip of a document; a box in its place if it cannot be decoded."""
    try:
        if isinstance(medium, Image):
            strip = [_img(load_image(medium.encoded, size=_LARGE, max_pixels=_MAX_PIXELS), _LARGE)]
        else:
            options = {"num_frames": _FRAMES, "frame_rate": 1.0, "size": FRAME, "max_pixels": _MAX_PIXELS}
            strip = [_img(frame, FRAME) for frame in load_clip(medium.encoded, **options, rng=None)]
    except MediaError as error:
        strip = [tag("p", f"cannot be shown: {error}", class_="broken")]
    return _figure(strip, [tag("b", place, class_="number c")], medium, "figure c")


def _figure(strip: Sequence[Html], lines: Sequence[Html], medium: Image | Video, kind: str) -> Html:
    caption = tag("figcaption", *lines, tag("span", medium.source or "without a source", class_="from"), _told(medium))
    return tag("figure", tag("div", *strip, class_="strip"), caption, class_=kind)


def _told(medium: Image | Video) -> Html:
    facts = medium_facts(medium)
    size = f"{facts.size / 1000:,.1f} kB"
    if not facts.known:
        return tag("span", f"unknown format, {size}")
    seconds = f", {facts.seconds:.1f} s" if facts.seconds else ""
    return tag("span", f"{facts.width} × {facts.height} {facts.format}{seconds}, {size}")


def _img(picture: Picture.Image, side: int, dim: bool = False) -> Html:
    picture = picture.copy()
    picture.thumbnail((side, side), Picture.Resampling.LANCZOS)
    note = "not a frame of its own: it repeats the last" if dim else None
    return void(
        "img",
        src=data_uri(picture),
        width=picture.width,
        height=picture.height,
        alt="frame" if side == FRAME else "image",
        title=note,
        class_="dim" if dim else None,
    )
