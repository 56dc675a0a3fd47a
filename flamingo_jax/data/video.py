"""Encoded clips to frames at a fixed rate."""

import io
import math
from fractions import Fraction

import av
import numpy as np
from PIL import Image

from flamingo_jax.data.errors import MediaError
from flamingo_jax.data.images import resize

CONTAINERS = "mov,matroska,avi,mpegts,mpeg,flv,asf,ogg,gif"
"""FFmpeg's names of the containers that are read. Others, such as playlists, would open files and addresses that they
name."""
_STILLS = "png_pipe,jpeg_pipe,webp_pipe,bmp_pipe,tiff_pipe"  # clips of one frame
_SEEK_FROM = 2.0  # seconds; a start before this is reached faster by decoding than by seeking.
_SAME_TIME = 5e-4  # seconds; time stamps are rounded, so that closer ones count as one.


def first_frame(encoded: bytes, *, size: int, max_pixels: int, span: tuple[float, float] | None = None) -> Image.Image:
    """The first frame that a clip shows; arguments and errors as of `load_clip`."""
    (frame,) = load_clip(encoded, num_frames=1, frame_rate=1.0, size=size, max_pixels=max_pixels, rng=None, span=span)
    return frame


def load_clip(
    encoded: bytes,
    *,
    num_frames: int,
    frame_rate: float,
    size: int,
    max_pixels: int,
    rng: np.random.Generator | None,
    span: tuple[float, float] | None = None,
) -> list[Image.Image]:
    """At most `num_frames` RGB frames, `1 / frame_rate` seconds apart, each resized to a longer side of `size` pixels.

    The first is at a random time from which all fit (at 0 if the clip is shorter, or if `rng` is None). Each is the
    frame that a player shows at its time. Fewer come back if the clip ends earlier; at least one always does.

    Args:
      span: the seconds of the file that count as the clip, from and to (the end itself is not shown); None: all. A span
        that begins after the last frame shows that frame.

    Raises:
      MediaError: not a video, truncated or corrupt, without a frame, or of more than `max_pixels` pixels a frame; or
        the span does not end after it begins.
    """
    first, end = (0.0, math.inf) if span is None else span
    if not 0 <= first < end:
        raise MediaError(f"a clip from second {first} to second {end}")
    unit = rng.random() if rng is not None else 0.0
    try:
        with av.open(io.BytesIO(encoded), options={"format_whitelist": f"{CONTAINERS},{_STILLS}"}) as container:
            if not container.streams.video:
                raise MediaError("a clip without a video stream")
            stream = container.streams.video[0]
            if stream.width * stream.height > max_pixels:
                raise MediaError(
                    f"a clip of {stream.width} x {stream.height} pixels (at most {max_pixels} are decoded)"
                )
            latest = min(end, _seconds(container, stream)) - (num_frames - 1) / frame_rate
            start = first + unit * max(0.0, latest - first)
            times = [start + index / frame_rate for index in range(num_frames)]
            times = times[:1] + [time for time in times[1:] if time < end - _SAME_TIME]
            frames = _shown_at(container, stream, times)
            images = {id(frame): _upright(frame, size) for frame in frames}
            return [images[id(frame)] for frame in frames]
    except MediaError:
        raise
    except Exception as error:
        # FFmpeg's errors come as OSError, ValueError, MemoryError (a size that the file claims) and more; here they all
        # mean damage. Python's own lack of memory does not.
        if isinstance(error, MemoryError) and not isinstance(error, av.error.FFmpegError):
            raise
        raise MediaError(f"a clip of {len(encoded)} bytes cannot be decoded: {error}") from error


def _seconds(container: av.container.InputContainer, stream: av.VideoStream) -> float:
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    return container.duration / av.time_base if container.duration is not None else 0.0


def _shown_at(
    container: av.container.InputContainer, stream: av.VideoStream, times: list[float]
) -> list[av.VideoFrame]:
    stream.codec_context.thread_count = 1  # Clips are decoded in parallel with one another.
    origin = float(stream.start_time * stream.time_base) if stream.start_time is not None else 0.0
    times = [origin + time for time in times]
    if times[0] - origin >= _SEEK_FROM:
        container.seek(int(times[0] / stream.time_base), stream=stream)
        frames = _walk(container, stream, times)
        if frames is not None:
            return frames
        container.seek(int(origin / stream.time_base), stream=stream)
    frames = _walk(container, stream, [max(time, origin) for time in times], from_start=True)
    if not frames:
        raise MediaError("a clip without a frame that can be decoded")
    return frames


def _walk(
    container: av.container.InputContainer, stream: av.VideoStream, times: list[float], from_start: bool = False
) -> list[av.VideoFrame] | None:
    """The frames shown at `times`, as far as the clip goes; None if decoding did not begin before the first of them."""
    gap = 1 / float(stream.average_rate or stream.base_rate or Fraction(25))
    shown: list[av.VideoFrame] = []
    current, current_time = None, 0.0
    for count, frame in enumerate(container.decode(stream)):
        time = frame.time
        if time is None:
            if not from_start:
                return None
            time = count * gap
        if current is None and not from_start and time > times[0]:
            return None
        # A frame whose rounded time stamp lies just above a wanted time is the one that is meant.
        while current is not None and len(shown) < len(times) and time > times[len(shown)] + _SAME_TIME:
            shown.append(current)
        if len(shown) == len(times):
            return shown
        current, current_time = frame, time
    if current is None:
        return None
    while len(shown) < len(times) and times[len(shown)] < current_time + gap:
        shown.append(current)
    return shown or ([current] if from_start else None)


def _upright(frame: av.VideoFrame, size: int) -> Image.Image:
    image = resize(frame.to_image(), size)
    return image.rotate(frame.rotation, expand=True) if frame.rotation else image
