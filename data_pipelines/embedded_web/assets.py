"""The small change of a web site: logo, icons, banners, placeholder, tracking pixel."""

import io

from PIL import Image, ImageDraw, ImageFont

from data_pipelines.embedded_web.designs import ICON, LOGO, STYLE, STYLE_SHEET
from data_pipelines.embedded_web.pages import NUM_BANNERS
from data_pipelines.embedded_web.seeding import Stream, generator

_SLOGANS = (
    "Visit the museum shop this weekend",
    "Become a friend of the rooms",
    "Two tickets for one",
    "Frames made to measure",
)


def site_assets(seed: int) -> dict[str, bytes]:
    """Path below the site root to file content."""
    files = {
        LOGO: _lettered((48, 48), (43, 58, 66), "P", 34),
        ICON: _lettered((24, 24), (90, 110, 120), "+", 20),
        "assets/placeholder.png": _encode(Image.new("RGB", (200, 200), (221, 221, 221))),
        "assets/pixel.gif": _encode(Image.new("L", (1, 1), 255), "GIF"),
        STYLE: STYLE_SHEET.encode(),
    }
    for i in range(NUM_BANNERS):
        ground = tuple(int(v) for v in generator(seed, Stream.ASSET, i).integers(40, 140, size=3))
        files[f"assets/banner-{i}.png"] = _lettered((728, 90), ground, _SLOGANS[i % len(_SLOGANS)], 40)
    return files


def _lettered(size: tuple[int, int], ground: tuple[int, int, int], text: str, points: int) -> bytes:
    image = Image.new("RGB", size, ground)
    middle = (size[0] / 2, size[1] / 2)
    ImageDraw.Draw(image).text(middle, text, fill="white", font=ImageFont.load_default(points), anchor="mm")
    return _encode(image)


def _encode(image: Image.Image, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()
