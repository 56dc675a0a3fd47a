"""A scene: everything that decides how one picture looks, as plain numbers, drawn at random around its attributes."""

import colorsys
import dataclasses

import numpy as np

from flamingo_jax.data.scenes.words import Attributes

Rgb = tuple[int, int, int]

# Ranges of hue (degrees), saturation and value: wide enough to vary, narrow enough that nobody would use another word.
_COLOUR_RANGES = {
    "red": ((353.0, 363.0), (0.85, 1.0), (0.75, 0.92)),
    "green": ((118.0, 145.0), (0.70, 0.95), (0.50, 0.75)),
    "blue": ((212.0, 232.0), (0.80, 1.0), (0.70, 0.95)),
    "yellow": ((50.0, 57.0), (0.80, 1.0), (0.93, 1.0)),
    "purple": ((274.0, 290.0), (0.65, 0.90), (0.48, 0.70)),
    "orange": ((23.0, 31.0), (0.88, 1.0), (0.94, 1.0)),
}


@dataclasses.dataclass(frozen=True, slots=True)
class Scene:
    """One picture: a shape on a background pattern. Lengths are in pixels, angles in degrees.

    `extent` is the side of the box around the shape before rotation, `period` the repeat length of the pattern, `phase`
    its offset in periods, `tones` the two neutral colours of the background (a plain one uses the first), `outline`
    whether the shape has a darker rim.
    """

    attributes: Attributes
    width: int
    height: int
    centre: tuple[float, float]
    extent: float
    rotation: float
    fill: Rgb
    tones: tuple[Rgb, Rgb]
    period: float
    pattern_angle: float
    phase: tuple[float, float]
    outline: bool


def sample_scene(
    rng: np.random.Generator,
    attributes: Attributes,
    *,
    size: tuple[int, int],
    extent: tuple[float, float] = (0.45, 0.70),
) -> Scene:
    """Draws a scene of `size` (width, height) whose shape spans a fraction of the short side within `extent`.

    The shape lies wholly inside the picture, whatever its rotation.
    """
    width, height = size
    short = min(size)
    diameter = short * rng.uniform(*extent)
    # A shape rotated by up to 15 degrees stays within 1.23 of its box (cos 15 + sin 15).
    half = min(1.23 * diameter, short) / 2
    centre = (rng.uniform(half, width - half), rng.uniform(half, height - half))
    light = rng.integers(205, 240)
    dark = light - rng.integers(70, 105)
    tones = [tuple(int(v) for v in tone + rng.integers(-4, 5, size=3)) for tone in (light, dark)]
    if attributes.background == "plain" and rng.random() < 0.4:
        tones.reverse()
    return Scene(
        attributes=attributes,
        width=width,
        height=height,
        centre=centre,
        extent=diameter,
        rotation=rng.uniform(-15, 15),
        fill=_sample_colour(rng, attributes.colour),
        tones=tuple(tones),
        period=short * rng.uniform(0.10, 0.16),
        pattern_angle=_sample_angle(rng, attributes.background),
        phase=tuple(rng.uniform(0, 1, size=2)),
        outline=bool(rng.random() < 0.5),
    )


def sample_size(rng: np.random.Generator, low: int = 160, high: int = 320) -> tuple[int, int]:
    """Width and height in [low, high]: two pictures in three are square, the others up to 1.6 times as long as wide."""
    long = int(rng.integers(low, high + 1))
    if rng.random() < 0.65:
        return long, long
    short = max(low, round(long / rng.uniform(1.1, 1.6)))
    return (long, short) if rng.random() < 0.6 else (short, long)


def _sample_colour(rng: np.random.Generator, colour: str) -> Rgb:
    hue, saturation, value = (rng.uniform(*bounds) for bounds in _COLOUR_RANGES[colour])
    return tuple(round(255 * v) for v in colorsys.hsv_to_rgb(hue % 360 / 360, saturation, value))


def _sample_angle(rng: np.random.Generator, background: str) -> float:
    if background == "striped":
        return rng.uniform(0, 180)
    if background == "brick":  # a wall stands upright
        return rng.uniform(-4, 4)
    return rng.uniform(-25, 25)
