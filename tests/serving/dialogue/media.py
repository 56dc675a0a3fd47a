"""Pictures and clips that are really some."""

import io

import av
import numpy as np
from PIL import Image as Picture


def png(colour: str = "red", side: int = 32) -> bytes:
    """A square of one colour."""
    buffer = io.BytesIO()
    Picture.new("RGB", (side, side), colour).save(buffer, "png")
    return buffer.getvalue()


def mp4(frames: int = 8, side: int = 64) -> bytes:
    """A square that gets brighter."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        stream = container.add_stream("mpeg4", rate=4)
        stream.width = stream.height = side
        for place in range(frames):
            pixels = np.full((side, side, 3), 255 * place // frames, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
    return buffer.getvalue()
