"""Tiny clips for tests, in the containers in which the video sets come."""

import functools
import io
import zlib
from pathlib import Path

import av
import numpy as np

RATE = 2
"""Frames a second."""
_CODECS = {
    "mp4": ("mp4", "libx264"),
    "mkv": ("matroska", "libx264"),
    "webm": ("webm", "libvpx"),
    "avi": ("avi", "mpeg4"),
}


def write_clip(path: Path, seconds: int = 2) -> None:
    """A clip of noise that depends on the file's name, so that no two clips are alike."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_encoded(path.name, seconds))


@functools.cache
def _encoded(name: str, seconds: int) -> bytes:
    form, codec = _CODECS[name.rpartition(".")[2]]
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=form) as container:
        stream = container.add_stream(codec, rate=RATE)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        for _ in range(seconds * RATE):
            pixels = np.kron(rng.integers(0, 256, (4, 4, 3), np.uint8), np.ones((8, 8, 1), np.uint8))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
    return buffer.getvalue()
