"""A piece of a video as an MP4 file of its own: cut, scaled down and encoded again."""

import io
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

# A key frame each second: readers sample one frame a second, and then decode little that they do not keep.
_KEY_FRAME_SECONDS = 1
# x264's scale runs from 0 (lossless) to 51; 23 is its own default.
_QUALITY = 23
_CLOCK = 90_000  # ticks a second; the MPEG clock, a multiple of all usual frame rates


class EmptyCutError(ValueError):
    """No frame of the video lies in the interval."""


def frame_size(path: Path) -> tuple[int, int]:
    """(width, height) in pixels of a file's first video stream, from its header, rotation aside.

    Raises:
      ValueError: it has no video stream.
      av.error.FFmpegError: it cannot be read.
    """
    with av.open(str(path)) as container:
        stream = _video_stream(container, path)
        return stream.codec_context.width, stream.codec_context.height


def cut(path: Path, start: float, end: float, *, max_side: int) -> bytes:
    """The frames shown from `start` until before `end`, as an H.264 MP4 without sound.

    Frames keep their times relative to the first one, so the frame rate is the video's own. Cutting twice gives the
    same bytes.

    Args:
      path: a video in any format that FFmpeg reads.
      start: seconds from the beginning of the video.
      end: seconds, greater than `start`.
      max_side: the longer side in pixels, at most; smaller videos keep their size, cut to even numbers of pixels.

    Raises:
      EmptyCutError: the video ends before `start`, or has no frame until `end`.
      ValueError: it has no video stream.
      av.error.FFmpegError: it cannot be read.
    """
    with av.open(str(path)) as source:
        stream = _video_stream(source, path)
        stream.thread_type = "AUTO"
        rate = stream.average_rate or stream.guessed_rate or Fraction(25)
        buffer = io.BytesIO()
        encoder = None
        with av.open(buffer, "w", format="mp4", container_options={"fflags": "+bitexact"}) as target:
            first = 0.0
            for time, frame in _frames(source, stream, start, end):
                pixels = _pixels(frame, max_side)
                if encoder is None:
                    first = time
                    encoder = _encoder(target, rate, pixels)
                out = av.VideoFrame.from_ndarray(pixels, format="rgb24")
                out.pts = round((time - first) * _CLOCK)
                out.time_base = Fraction(1, _CLOCK)
                target.mux(encoder.encode(out))
            if encoder is None:
                raise EmptyCutError(f"{path}: no frame from {start:g} s to {end:g} s")
            target.mux(encoder.encode(None))
        return buffer.getvalue()


def _video_stream(container, path: Path):
    if not container.streams.video:
        raise ValueError(f"{path} has no video stream")
    return container.streams.video[0]


def _frames(source, stream, start: float, end: float) -> Iterator[tuple[float, av.VideoFrame]]:
    """(seconds from the beginning of the stream, frame) for the frames of the interval."""
    origin = float((stream.start_time or 0) * stream.time_base)
    if start > 0:
        source.seek(int((origin + start) / stream.time_base), stream=stream)
    half_tick = float(stream.time_base) / 2
    for frame in source.decode(stream):
        if frame.pts is None:
            continue
        time = float(frame.pts * frame.time_base) - origin
        if time >= end - half_tick:
            return
        if time >= start - half_tick:
            yield time, frame


def _pixels(frame: av.VideoFrame, max_side: int) -> np.ndarray:
    """The frame upright, scaled and cut to even sides: uint8 [height, width, 3]."""
    scale = min(1.0, max_side / max(frame.width, frame.height))
    width, height = (max(2, round(side * scale) // 2 * 2) for side in (frame.width, frame.height))
    pixels = frame.reformat(width=width, height=height, format="rgb24").to_ndarray()
    return np.ascontiguousarray(np.rot90(pixels, round(frame.rotation / 90)))


def _encoder(target, rate: Fraction, pixels: np.ndarray):
    encoder = target.add_stream("libx264", rate=rate)
    encoder.height, encoder.width = pixels.shape[:2]
    encoder.pix_fmt = "yuv420p"
    encoder.time_base = encoder.codec_context.time_base = Fraction(1, _CLOCK)
    encoder.codec_context.gop_size = max(1, round(float(rate) * _KEY_FRAME_SECONDS))
    encoder.codec_context.thread_count = 1  # the number of threads would change the bytes
    # x264's macroblock tree came out differently from run to run on a CPU with AVX-512 (x264 core 165); without it not.
    encoder.codec_context.options = {
        "crf": str(_QUALITY),
        "preset": "veryfast",
        "mbtree": "0",
        "flags": "+bitexact",
    }
    return encoder
