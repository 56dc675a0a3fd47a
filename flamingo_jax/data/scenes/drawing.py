"""From a scene to pixels: background patterns as antialiased fields, shapes as supersampled polygons."""

import math

import numpy as np
from PIL import Image, ImageDraw

from flamingo_jax.data.scenes.scene import Scene

_SUPERSAMPLING = 3
_RIM = 0.03  # width of the rim, as a fraction of the shape's extent


def draw(scene: Scene) -> Image.Image:
    """The scene as an RGB image of its width and height."""
    return paint_shape(draw_background(scene), scene)


def draw_background(scene: Scene) -> Image.Image:
    """The background pattern alone."""
    first, second = (np.asarray(tone, np.float32) for tone in scene.tones)
    cover = _coverage(scene)[..., None]
    return Image.fromarray((first + (second - first) * cover + 0.5).astype(np.uint8))


def paint_shape(canvas: Image.Image, scene: Scene) -> Image.Image:
    """A copy of `canvas` with the scene's shape painted on it."""
    angle = math.radians(scene.rotation)
    turn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    points = _OUTLINES[scene.attributes.shape] @ turn * (scene.extent / 2) + scene.centre
    left, top = (int(v) for v in np.floor(points.min(axis=0)))
    right, bottom = (int(v) for v in np.ceil(points.max(axis=0)))
    polygon = [tuple(point) for point in ((points - (left, top)) * _SUPERSAMPLING).tolist()]

    mask = Image.new("L", (_SUPERSAMPLING * (right - left), _SUPERSAMPLING * (bottom - top)))
    pen = ImageDraw.Draw(mask)
    pen.polygon(polygon, fill=255)
    canvas = canvas.copy()
    if scene.outline:
        canvas.paste(tuple(round(0.55 * v) for v in scene.fill), (left, top), mask.reduce(_SUPERSAMPLING))
        # Half of the line's width lies inside the shape: that part becomes the rim.
        width = round(2 * _RIM * scene.extent * _SUPERSAMPLING)
        pen.line([*polygon, *polygon[:2]], fill=0, width=width, joint="curve")
    canvas.paste(scene.fill, (left, top), mask.reduce(_SUPERSAMPLING))
    return canvas


def _coverage(scene: Scene) -> np.ndarray:
    """How much of each pixel has the second tone: float32 [height, width] in [0, 1]."""
    if scene.attributes.background == "plain":
        return np.zeros((scene.height, scene.width), np.float32)
    y, x = np.mgrid[0 : scene.height, 0 : scene.width].astype(np.float32)
    angle = math.radians(scene.pattern_angle)
    u = (x * math.cos(angle) + y * math.sin(angle)) / scene.period + scene.phase[0]
    v = (y * math.cos(angle) - x * math.sin(angle)) / scene.period + scene.phase[1]
    return _PATTERNS[scene.attributes.background](u, v, scene.period)


def _soften(inside: np.ndarray, period: float) -> np.ndarray:
    """Signed depth below an edge, in periods, to coverage with an edge one pixel wide."""
    return np.clip(inside * period + 0.5, 0, 1)


def _from_middle(t: np.ndarray) -> np.ndarray:
    """Distance from the middle of the unit cell, in periods."""
    return np.abs(t - np.floor(t) - 0.5)


def _striped(u: np.ndarray, v: np.ndarray, period: float) -> np.ndarray:
    return _soften(0.25 - _from_middle(u), period)


def _dotted(u: np.ndarray, v: np.ndarray, period: float) -> np.ndarray:
    return _soften(0.30 - np.hypot(_from_middle(u), _from_middle(v)), period)


def _checked(u: np.ndarray, v: np.ndarray, period: float) -> np.ndarray:
    # Cells of one period, twice the width of a stripe: seen from afar, checks and stripes must not look alike.
    a, b = (_soften(0.25 - _from_middle(t / 2), 2 * period) for t in (u, v))
    return a + b - 2 * a * b


def _brick(u: np.ndarray, v: np.ndarray, period: float) -> np.ndarray:
    course = np.floor(v)
    along = u / 2.2 + 0.5 * (course % 2)
    mortar = 0.07
    return _soften(np.minimum(0.5 - mortar - _from_middle(v), 2.2 * (0.5 - _from_middle(along)) - mortar), period)


def _star() -> np.ndarray:
    angles = np.arange(10) * math.pi / 5
    radii = np.where(np.arange(10) % 2, 0.42, 1.0)[:, None]
    return radii * np.stack([np.sin(angles), -np.cos(angles)], axis=-1)


def _heart() -> np.ndarray:
    t = np.linspace(0, 2 * math.pi, 96, endpoint=False)
    x = 16 * np.sin(t) ** 3
    y = 13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)
    return np.stack([x / 16.5, -(y + 2.5) / 16.5], axis=-1)


def _circle() -> np.ndarray:
    t = np.linspace(0, 2 * math.pi, 96, endpoint=False)
    return np.stack([np.cos(t), np.sin(t)], axis=-1)


def _cross(arm: float = 0.34) -> np.ndarray:
    quarter = np.array([[arm, arm], [arm, 1.0], [-arm, 1.0]])
    return np.concatenate([quarter @ np.linalg.matrix_power(np.array([[0, 1], [-1, 0]]), k) for k in range(4)])


# Outlines as [points, (x, y)] within [-1, 1], y downwards.
_OUTLINES = {
    "circle": _circle(),
    "square": 0.88 * np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]]),
    "triangle": np.array([[0.0, -0.95], [1.0, 0.80], [-1.0, 0.80]]),
    "star": _star(),
    "cross": _cross(),
    "heart": _heart(),
}
_PATTERNS = {"striped": _striped, "dotted": _dotted, "checked": _checked, "brick": _brick}
