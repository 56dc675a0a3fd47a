"""Pictures for small releases: each number has a shape and a colour of its own."""

from pathlib import Path

from PIL import Image, ImageDraw

COLOURS = ("red", "green", "blue", "yellow", "orange", "purple", "cyan", "white")
SHAPES = ("circle", "square", "triangle")


def colour(number: int) -> str:
    """The colour of picture `number`."""
    return COLOURS[number % len(COLOURS)]


def shape(number: int) -> str:
    """The shape on picture `number`."""
    return SHAPES[number % len(SHAPES)]


def draw(path: Path, number: int, mode: str = "RGB", kind: str = "") -> None:
    """Writes picture `number`, 64 by 48 pixels.

    Args:
      path: of the file; its ending says in which format it is, unless `kind` does.
      number: of the picture.
      mode: of its pixels: releases have grey ("L") and printers' ("CMYK") pictures among their JPEGs.
      kind: its format.
    """
    picture = Image.new("RGB", (64, 48), (40, 40, 40))
    pen = ImageDraw.Draw(picture)
    left = 8 + number % 5 * 4
    match shape(number):
        case "circle":
            pen.ellipse((left, 8, left + 28, 36), fill=colour(number))
        case "square":
            pen.rectangle((left, 8, left + 28, 36), fill=colour(number))
        case "triangle":
            pen.polygon(((left, 36), (left + 28, 36), (left + 14, 8)), fill=colour(number))
    path.parent.mkdir(parents=True, exist_ok=True)
    ending = path.suffix[1:].upper()
    picture.convert(mode).save(path, kind or {"JPG": "JPEG"}.get(ending, ending))
