"""Pictures and clips of the releases as small copies inside the page."""

from collections.abc import Mapping
from typing import Any

from etils import epath
from PIL import Image

from flamingo_jax.data.errors import MediaError
from flamingo_jax.data.images import load_image
from flamingo_jax.data.video import load_clip
from flamingo_jax.html.markup import Html, join, tag, void
from flamingo_jax.html.pictures import data_uri

LARGE, SMALL = 360, 96  # pixels of the longer side: of what is asked about, and of the examples in the prompt
_FRAME = 170
_FRAMES = 4  # of a clip, a second apart
_MAX_PIXELS = 64_000_000


class Pictures:
    """Makes the small copies; those of the examples in prompts, which come again and again, once."""

    def __init__(self):
        self._stamps: dict[tuple, Html] = {}

    def large(self, medium: Any) -> Html:
        """A picture, or the first frames of a clip; a box that says why where it cannot be shown."""
        return _shown(*_fields(medium), LARGE)

    def small(self, medium: Any) -> Html:
        """A picture, or the first frame of a clip, at the size of a stamp."""
        fields = _fields(medium)
        if fields not in self._stamps:
            self._stamps[fields] = _shown(*fields, SMALL)
        return self._stamps[fields]


def _fields(medium: Any) -> tuple[str, bool, tuple[float, ...] | None]:
    """(path, whether it is a clip, span); a path alone is a picture's."""
    if isinstance(medium, str):
        return medium, False, None
    if not isinstance(medium, Mapping) or not medium.get("path"):
        return "", False, None
    span = medium.get("span")
    return str(medium["path"]), bool(medium.get("video")), tuple(span) if span else None


def _shown(path: str, video: bool, span: tuple[float, ...] | None, side: int) -> Html:
    name = path.rpartition("/")[2]
    if not path:
        return _missing("no picture", "", side)
    try:
        pictures = _load(path, video, span, side)
    except (MediaError, OSError, ValueError, TypeError) as error:
        return _missing("cannot be shown", f"{name}: {type(error).__name__}: {error}", side)
    shown = [
        void("img", src=data_uri(one), alt=name, width=one.width, height=one.height, loading="lazy") for one in pictures
    ]
    return shown[0] if len(shown) == 1 else tag("div", join(shown), class_="frames")


def _load(path: str, video: bool, span: tuple[float, ...] | None, side: int) -> list[Image.Image]:
    encoded = epath.Path(path).read_bytes()
    if not video:
        return [load_image(encoded, size=side, max_pixels=_MAX_PIXELS)]
    frames, size = (1, side) if side == SMALL else (_FRAMES, _FRAME)
    return load_clip(encoded, num_frames=frames, frame_rate=1.0, size=size, max_pixels=_MAX_PIXELS, rng=None, span=span)


def _missing(told: str, why: str, side: int) -> Html:
    return tag("div", tag("span", told), class_="missing" if side == LARGE else "missing stamp", title=why or None)
