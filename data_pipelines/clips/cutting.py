"""A piece of a video as an MP4 file of its own: cut, scaled down and encoded again."""

import contextlib
import io
import itertools
import math
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

import av
import numpy as np

from flamingo_jax.data.video import CONTAINERS

_SEEK_FROM = 2.0  # seconds; what begins earlier is reached faster by decoding than by seeking
# A seek may end behind the wanted frame, or where no key frame is near; the second one asks for so much earlier.
_MARGIN = 10.0  # seconds
# A key frame each second: readers sample one frame a second, and then decode little that they do not keep.
_KEY_FRAME_SECONDS = 1
# x264's scale runs from 0 (lossless) to 51; 23 is its own default.
_QUALITY = 23
_CLOCK = 90_000  # ticks a second; the MPEG clock, a multiple of all usual frame rates

Source = Path | BinaryIO
"""A video: its file, or its bytes as a stream that can be read from any place."""


class EmptyCutError(ValueError):
    """No frame of the video lies in the interval."""


@contextlib.contextmanager
def open_video(source: Source) -> Iterator[tuple]:
    """(container, its first video stream that is not a cover picture), as PyAV has them.

    Raises:
      ValueError: there is no such stream.
      av.error.FFmpegError: it cannot be read, or is none of the containers that are read.
    """
    if not isinstance(source, Path):
        source.seek(0)
    # With "file:", no name is taken for an address.
    name = f"file:{source}" if isinstance(source, Path) else source
    with av.open(name, options={"format_whitelist": CONTAINERS}) as container:
        covers = av.stream.Disposition.attached_pic
        streams = [stream for stream in container.streams.video if not stream.disposition & covers]
        if not streams:
            raise ValueError(f"{source} has no video stream")
        yield container, streams[0]


def frame_size(source: Source) -> tuple[int, int]:
    """(width, height) in pixels of a file's video stream, from its header, rotation aside.

    Raises:
      ValueError: it has no video stream.
      av.error.FFmpegError: it cannot be read.
    """
    with open_video(source) as (_, stream):
        return stream.codec_context.width, stream.codec_context.height


def cut(source: Source, start: float, end: float, *, max_side: int) -> bytes:
    """The frames shown from `start` until before `end`, as an H.264 MP4 without sound.

    Frames keep their times relative to the first one, so the frame rate is the video's own. Cutting twice gives the
    same bytes.

    Args:
      source: a video of the usual containers, in any codec that FFmpeg reads.
      start: seconds from the beginning of the video.
      end: seconds, greater than `start`; may be infinite.
      max_side: the longer side in pixels, at most; smaller videos keep their size, cut to even numbers of pixels.

    Raises:
      EmptyCutError: the video ends before `start`, or has no frame until `end`.
      ValueError: it has no video stream.
      av.error.FFmpegError: it cannot be read.
    """
    buffer = io.BytesIO()
    encoder = None
    with av.open(buffer, "w", format="mp4", container_options={"fflags": "+bitexact"}) as target:
        first = 0.0
        for time, frame, rate in _frames(source, start, end):
            pixels = _pixels(frame, max_side)
            if encoder is None:
                first = time
                encoder = _encoder(target, rate, pixels)
            out = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            out.pts = round((time - first) * _CLOCK)
            out.time_base = Fraction(1, _CLOCK)
            target.mux(encoder.encode(out))
        if encoder is None:
            raise EmptyCutError(f"{source}: no frame from {start:g} s to {end:g} s")
        target.mux(encoder.encode(None))
    return buffer.getvalue()


def _frames(source: Source, start: float, end: float) -> Iterator[tuple[float, av.VideoFrame, Fraction]]:
    """(seconds from the beginning of the stream, frame, frames a second) for the frames of the interval."""
    places = [place for place in (start, start - _MARGIN) if place >= _SEEK_FROM]
    for place in (*places, None):
        with open_video(source) as (container, stream):
            half_tick = float(stream.time_base) / 2
            frames = _timed(container, stream, place)
            early = next(frames, None)
            if place is not None and (early is None or early[0] > start + half_tick):
                continue  # it is not sure that no earlier frame belongs to the interval
            rate = _rate(stream)
            for time, frame in itertools.chain([early] if early else [], frames):
                if time >= end - half_tick:
                    return
                if time >= start - half_tick:
                    yield time, frame, rate
            return


def _timed(container, stream, place: float | None) -> Iterator[tuple[float, av.VideoFrame]]:
    """(seconds from the beginning of the stream, frame), from the key frame before `place` on if a seek finds it.

    Times grow from frame to frame, also where the container has none (AVI) or wrong ones. `place` None: from the
    beginning.
    """
    stream.thread_type = "AUTO"
    origin = float((stream.start_time or 0) * stream.time_base)
    gap = float(1 / _rate(stream))
    last = -math.inf if place is not None else -gap
    if place is not None:
        try:
            container.seek(int((origin + place) / stream.time_base), stream=stream)
        except (av.error.FFmpegError, OverflowError):
            return
    for frame in container.decode(stream):
        time = last + gap if frame.pts is None else float(frame.pts * frame.time_base) - origin
        last = time if time > last + 1 / _CLOCK else last + gap
        if not math.isfinite(last):
            return  # the first frame after a seek, at nobody knows what time
        yield last, frame


def _rate(stream) -> Fraction:
    return stream.average_rate or stream.guessed_rate or Fraction(25)


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
