"""The file of a clip: cut out of a longer video, copied if it is fit as it stands, or encoded again."""

import contextlib
import dataclasses
import io
import tempfile
from collections.abc import Iterator
from pathlib import Path

import av
from etils import epath

from data_pipelines import image_rules
from data_pipelines.clips import cutting
from data_pipelines.pipeline import references
from data_pipelines.pipeline.sketch import FILE, Reference

CLIP = "clip"
"""The form of a `Reference` to a piece of a video: `path` is the video, `place` is "start,end" in seconds."""

_SUBSAMPLED = ("yuv420p", "yuvj420p")  # 8 bits, colours at half the resolution: what a cut has


@dataclasses.dataclass(frozen=True)
class ClipRules:
    """How clips are encoded, and the limits of their length and their frames."""

    max_side: int = dataclasses.field(
        default=320, metadata={"help": "scale a clip down until its longer side has at most this many pixels"}
    )
    max_seconds: float = dataclasses.field(default=300.0, metadata={"help": "drop a clip that is longer"})
    frames: image_rules.ImageRules = dataclasses.field(default_factory=image_rules.ImageRules)


def place(start: float, end: float) -> str:
    """What `Reference.place` says of an interval in seconds."""
    return f"{start:.10g},{end:.10g}"


def encode(reference: Reference, rules: ClipRules) -> bytes | str:
    """The clip as an H.264 MP4 without sound and metadata, the same at every call; or the rule that drops it.

    A piece (`CLIP`) is cut and encoded again. Of any other reference the whole video is taken: if it is what a cut
    would be (H.264 of 8 bits in an MP4 or MOV, no side longer than `max_side`), its frames are copied as they are,
    since encoding would only lose quality and take time; else it is encoded again, so that what training reads is small
    and of one kind.

    Rules: `clip_unreadable` (the file cannot be opened), `clip_undecodable` (no video in a container that is read, a
    whole file that is damaged or ends early, a piece without a frame before the damage), `clip_without_frames` (in the
    interval), `clip_too_long`, `clip_too_small`, `clip_too_elongated`, `clip_too_many_pixels`, `clip_single_colour`.
    """
    interval = tuple(map(float, reference.place.split(","))) if reference.form == CLIP else None
    with contextlib.ExitStack() as stack:
        try:
            source = stack.enter_context(_opened(reference))
        except (OSError, ValueError):
            return "clip_unreadable"
        try:
            encoded = _piece(source, *interval, rules) if interval else _whole(source, rules)
            if isinstance(encoded, bytes) and _is_single_colour(encoded, rules.frames):
                return "clip_single_colour"
        except cutting.EmptyCutError:
            return "clip_without_frames"
        except (av.error.FFmpegError, ValueError, OSError):
            return "clip_undecodable"
        return encoded


@contextlib.contextmanager
def _opened(reference: Reference) -> Iterator[cutting.Source]:
    """A local file as it is, one in a bucket fetched to this machine, what stands within another file in memory."""
    if reference.form not in (FILE, CLIP):
        yield io.BytesIO(references.read(reference))
    elif "://" in reference.path:
        with tempfile.TemporaryDirectory(prefix="clip-") as folder:
            copy = Path(folder) / "video"
            epath.Path(reference.path).copy(copy)
            yield copy
    else:
        with Path(reference.path).open("rb"):  # a missing file is another thing than a broken one
            yield Path(reference.path)


def _piece(source: cutting.Source, start: float, end: float, rules: ClipRules) -> bytes | str:
    if end - start > rules.max_seconds:
        return "clip_too_long"
    if rule := image_rules.bad_shape(*cutting.frame_size(source), rules.frames):
        return rule.replace("image_", "clip_")
    return cutting.cut(source, start, end, max_side=rules.max_side)


def _whole(source: cutting.Source, rules: ClipRules) -> bytes | str:
    with cutting.open_video(source) as (container, stream):
        codec = stream.codec_context
        if rule := image_rules.bad_shape(codec.width, codec.height, rules.frames):
            return rule.replace("image_", "clip_")
        is_fit = container.format.name.startswith("mov,") and codec.name == "h264" and codec.pix_fmt in _SUBSAMPLED
        is_fit = is_fit and max(codec.width, codec.height) <= rules.max_side
        # Not what the header says: it may lie, and of a stream that was recorded it says nothing.
        begin, last = None, None
        for packet in container.demux(stream):
            if packet.is_corrupt:  # the file ends within it
                return "clip_undecodable"
            if packet.pts is not None:
                begin = packet.pts if begin is None else min(begin, packet.pts)
                last = packet.pts if last is None else max(last, packet.pts)
                if (last - begin) * stream.time_base > rules.max_seconds:
                    return "clip_too_long"
    return _copy(source) if is_fit else cutting.cut(source, 0, float("inf"), max_side=rules.max_side)


def _copy(source: cutting.Source) -> bytes:
    """The frames of an MP4 file in one of their own."""
    buffer = io.BytesIO()
    target = av.open(buffer, "w", format="mp4", container_options={"fflags": "+bitexact"})
    with cutting.open_video(source) as (container, stream), target:
        track = target.add_stream_from_template(stream)
        track.metadata.clear()
        for packet in container.demux(stream):
            if packet.dts is not None:  # the last one only says that there are no more
                packet.stream = track
                target.mux(packet)
    return buffer.getvalue()


def _is_single_colour(encoded: bytes, rules: image_rules.ImageRules) -> bool:
    """Whether all frames are single-coloured; of most clips the first one tells that they are not."""
    with cutting.open_video(io.BytesIO(encoded)) as (container, stream):
        return all(image_rules.is_single_colour(frame.to_image(), rules) for frame in container.decode(stream))
