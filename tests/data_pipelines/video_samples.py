"""Small videos whose frames say which they are."""

import io
import struct
from fractions import Fraction

import av
import numpy as np

RATE, LEVELS = 10, 41


def picture(index, width=96, height=80):
    """Grey that tells the index (modulo 41) on the left, white at the top right, black at the bottom right."""
    pixels = np.full((height, width, 3), 5 * (index % LEVELS) + 20, np.uint8)
    pixels[: height // 2, width // 2 :], pixels[height // 2 :, width // 2 :] = 255, 0
    return pixels


def level(frame) -> int:
    """The index of a `picture`, modulo 41."""
    return round((float(frame[:, : frame.shape[1] // 3].mean()) - 20) / 5)


def write_video(
    path,
    width=96,
    height=80,
    seconds=4.0,
    rate=RATE,
    codec="libx264",
    pixels=None,
    times=None,
    sound=False,
    codec_options=None,
    **options,
):
    """A video of `picture`s, or of always the same `pixels`; `times` are the frames' in milliseconds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", container_options=options) as container:
        stream = container.add_stream(codec, rate=rate)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.options = codec_options or {}
        track = container.add_stream("aac", rate=16_000, layout="mono") if sound else None
        if times:
            stream.codec_context.time_base = Fraction(1, 1000)
        for index in range(len(times) if times else round(seconds * rate)):
            frame = av.VideoFrame.from_ndarray(
                picture(index, width, height) if pixels is None else pixels, format="rgb24"
            )
            if times:
                frame.pts, frame.time_base = times[index], Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if track:
            _write_silence(container, track, seconds)


def write_sound(path, cover=False):
    """A file without pictures, but for the cover of the album perhaps."""
    with av.open(str(path), "w") as container:
        track = container.add_stream("aac", rate=16_000, layout="mono")
        if cover:
            stream = container.add_stream("mjpeg", rate=1)
            stream.width, stream.height, stream.pix_fmt = 96, 80, "yuvj420p"
            stream.disposition = av.stream.Disposition.attached_pic
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture(5), format="rgb24")))
            container.mux(stream.encode(None))
        _write_silence(container, track, 1)


def _write_silence(container, track, seconds):
    for index in range(round(seconds * 16_000 / 1024)):
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate, frame.pts = 16_000, index * 1024
        container.mux(track.encode(frame))
    container.mux(track.encode(None))


def turn(path):
    """Makes an MP4 file one that players turn a quarter clockwise (ISO 14496-12: the matrix of the track)."""
    data = path.read_bytes()
    matrix = data.index(b"tkhd") + 4 + 40  # version 0 has 40 bytes before the matrix
    clockwise = struct.pack(">9i", 0, 1 << 16, 0, -1 << 16, 0, 0, 80 << 16, 0, 1 << 30)
    path.write_bytes(data[:matrix] + clockwise + data[matrix + 36 :])


def decode(encoded: bytes) -> tuple[list[float], list[np.ndarray]]:
    """(times in seconds, frames as stored) of a file with nothing but pictures."""
    with av.open(io.BytesIO(encoded)) as container:
        assert [stream.type for stream in container.streams] == ["video"]
        frames = list(container.decode(video=0))
    times = [float(frame.pts * frame.time_base) for frame in frames]
    return times, [frame.to_ndarray(format="rgb24") for frame in frames]
