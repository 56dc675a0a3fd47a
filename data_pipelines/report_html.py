"""What the builders' reports share as pages for a browser: the frame, the figures on top, small copies of images."""

import html
import io
from collections.abc import Mapping

from PIL import Image

from data_pipelines import image_rules

_MAX_PIXELS = 64_000_000  # what is larger is not decoded for a picture of it
_STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8882; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.05rem; margin: 2rem 0 .5rem; border-bottom: 1px solid var(--line); }
dl { display: flex; flex-wrap: wrap; gap: .5rem 2rem; } dt { opacity: .7; } dd { margin: 0; font-size: 1.2rem; }
"""


def page(title: str, figures: Mapping[str, int], style: str, body: list[str]) -> str:
    """One HTML page, without scripts, without network.

    Args:
      title: plain text.
      figures: numbers by what they count, in plain text.
      style: CSS rules beside those that all reports have.
      body: what follows the figures, as HTML.
    """
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width">',
            f"<title>{html.escape(title)}</title><style>{_STYLE}{style.lstrip()}</style></head>"
            f"<body><h1>{html.escape(title)}</h1>",
            "<dl>",
            *(f"<div><dt>{html.escape(what)}</dt><dd>{count:,}</dd></div>" for what, count in figures.items()),
            "</dl>",
            *body,
            "</body></html>\n",
        ]
    )


def small_copy(encoded: bytes, side: int) -> Image.Image | None:
    """An image file as RGB, or RGBA where it may be transparent, no side longer than `side` pixels.

    None if it is broken or too large to decode for a report.
    """
    try:
        with Image.open(io.BytesIO(encoded), formats=image_rules.available_formats()) as image:
            if image.width * image.height > _MAX_PIXELS:
                return None
            image.draft("RGB", (side, side))
            small = image.convert("RGBA" if image.has_transparency_data else "RGB")
            small.thumbnail((side, side))
            return small
    except Exception:  # of all files on Earth some break Pillow; a report must not fail for want of a picture
        return None
