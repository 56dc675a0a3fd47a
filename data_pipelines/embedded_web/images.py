"""Drawn scenes to image files."""

import io
import pathlib

from flamingo_jax.data.scenes.drawing import draw
from flamingo_jax.data.scenes.scene import Scene

_JPEG_QUALITY = 88


def encode_scene(scene: Scene, suffix: str) -> bytes:
    """The scene as the bytes of a PNG ("png") or JPEG ("jpg") file."""
    buffer = io.BytesIO()
    if suffix == "png":
        draw(scene).save(buffer, "PNG")
    else:
        draw(scene).save(buffer, "JPEG", quality=_JPEG_QUALITY)
    return buffer.getvalue()


def write_file(path: pathlib.Path, content: bytes) -> None:
    """Writes `content` to `path`, making its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
