"""Builds a video-text dataset from a JSON list of captioned clips: `python -m data_pipelines.clips --help`.

The list has entries {"file": a path relative to the JSON file, "start": seconds, "end": seconds, "caption": text}.
"""

import dataclasses
import io
import json
import math
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import av

from data_pipelines import building, command_line, cutting, inputs, output, progress
from data_pipelines.drops import Drops
from data_pipelines.m3w import image_rules, resolve
from flamingo_jax.data.document import Document, Text, Video


@dataclasses.dataclass(frozen=True)
class ClipConfig:
    """How clips are cut, and the limits of their frames."""

    max_side: int = dataclasses.field(
        default=320, metadata={"help": "scale a clip down until its longer side has at most this many pixels"}
    )
    max_seconds: float = dataclasses.field(default=300.0, metadata={"help": "drop a clip that is longer"})
    frames: image_rules.ImageRules = dataclasses.field(default_factory=image_rules.ImageRules)


@dataclasses.dataclass(frozen=True, slots=True)
class Clip:
    """One entry of the list: a file below the list's folder, an interval in seconds, a caption."""

    file: str
    start: float
    end: float
    caption: str

    @property
    def key(self) -> str:
        """The clip's name as a media fragment (W3C), such as `videos/bikes.mp4#t=0,8`."""
        return f"{self.file}#t={self.start:.10g},{self.end:.10g}"


def read_list(path: Path) -> list:
    """The entries as they stand.

    Raises:
      BuildError: there is no such file, it is not JSON, or not a list with an entry.
    """
    if not path.is_file():
        raise output.BuildError(f"--input {path}: no such file; it must be a JSON list of clips")
    try:
        entries = json.loads(path.read_bytes())
    except ValueError as error:
        raise output.BuildError(f"--input {path} is not JSON: {error}") from None
    if not isinstance(entries, list) or not entries:
        raise output.BuildError(f"--input {path} must be a JSON list with at least one clip")
    return entries


def parse(entry: object) -> Clip | str:
    """A clip, or the name of the rule that its entry breaks."""
    if not isinstance(entry, dict) or not isinstance(entry.get("file"), str) or not entry["file"].strip():
        return "clip_malformed"
    times = [entry.get("start"), entry.get("end")]
    if not all(isinstance(time, int | float) and not isinstance(time, bool) and math.isfinite(time) for time in times):
        return "clip_malformed"
    start, end = map(float, times)
    if not 0 <= start < end:
        return "clip_interval_invalid"
    caption = entry.get("caption")
    if not isinstance(caption, str) or not caption.strip():
        return "caption_empty"
    return Clip(Path(entry["file"]).as_posix(), start, end, " ".join(caption.split()))


def collect(root: Path, entries: Sequence, config: ClipConfig, scratch: Path) -> building.Collected:
    """Cuts the clips into files in `scratch`, so that each is cut once and none stays in memory.

    Args:
      root: the folder that the entries' files are relative to; nothing outside it is read.
      entries: as read from JSON.
      config: the limits.
      scratch: an empty folder that lives until the dataset is written.
    """
    drops, clips = Drops(), {}
    for number, entry in enumerate(progress.bar(entries, "cutting clips", "clips")):
        clip = parse(entry)
        if isinstance(clip, str):
            drops.add(clip, "clip", f"entry {number}: {json.dumps(entry, ensure_ascii=False)}")
            continue
        if clip.key in clips:
            drops.add("clip_repeated", "clip", clip.key)
            continue
        result = _cut(root, clip, config)
        if isinstance(result, str):
            drops.add(result, "clip", clip.key)
            continue
        path = scratch / f"{number:08d}.mp4"
        path.write_bytes(result)
        clips[clip.key] = (path, clip.caption)

    def load(key: str) -> Document:
        path, caption = clips[key]
        return Document(key, (Video(path.read_bytes(), key), Text(caption)))

    return building.Collected(sorted(clips), load, {"clips": len(clips)}, drops)


def _cut(root: Path, clip: Clip, config: ClipConfig) -> bytes | str:
    """The clip's MP4 file, or the rule that drops it."""
    if rule := resolve.check_file(root, clip.file):
        return rule.replace("image_", "clip_")
    if clip.end - clip.start > config.max_seconds:
        return "clip_too_long"
    path = root / clip.file
    try:
        if rule := image_rules.bad_shape(*cutting.frame_size(path), config.frames):
            return rule.replace("image_", "clip_")
        encoded = cutting.cut(path, clip.start, clip.end, max_side=config.max_side)
    except cutting.EmptyCutError:
        return "clip_without_frames"
    except (av.error.FFmpegError, ValueError, OSError):
        return "clip_undecodable"
    return "clip_single_colour" if _is_single_colour(encoded, config.frames) else encoded


def _is_single_colour(encoded: bytes, rules: image_rules.ImageRules) -> bool:
    """Whether all key frames of a clip are single-coloured."""
    with av.open(io.BytesIO(encoded)) as container:
        stream = container.streams.video[0]
        stream.codec_context.skip_frame = "NONKEY"
        return all(image_rules.is_single_colour(frame.to_image(), rules) for frame in container.decode(stream))


def main(arguments: Sequence[str] | None = None) -> None:
    """Reads the flags and builds."""
    flags = command_line.parser("clips", "Captioned clips to documents of one video and its caption.", "clips")
    command_line.add_flags(flags, ClipConfig)
    values = flags.parse_args(arguments)
    config = command_line.from_flags(values, ClipConfig)
    listing = Path(values.input)
    entries = read_list(listing)
    root = listing.parent
    videos = {
        clip.file for clip in map(parse, entries) if isinstance(clip, Clip) and not resolve.check_file(root, clip.file)
    }
    identity = {
        "builder": "clips",
        "settings": dataclasses.asdict(config),
        "input": {"files": len(videos) + 1, "hash": inputs.fingerprint(root, {listing.name, *videos})},
    }
    with tempfile.TemporaryDirectory(prefix="clips-") as scratch:
        building.build(
            values.output,
            values.name,
            identity,
            lambda: collect(root, entries, config, Path(scratch)),
            validation_fraction=values.validation_fraction,
            overwrite=values.overwrite,
        )


if __name__ == "__main__":
    sys.exit(command_line.run(main))
