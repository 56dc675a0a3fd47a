"""Captioned clips as lists name them, with the videos as files in a folder.

  - WebVid's tables (`results_2M_train.csv`): columns videoid, contentUrl, duration, page_dir, name (the caption); the
    video is `<page_dir>/<videoid>.mp4`.
  - VATEX (`vatex_training_v1.0.json`): a list of {videoID: "<id>_<start>_<end>", enCap: [captions], chCap: [...]}, the
    times as six digits of seconds; the video is `<videoID>.mp4`, cut already, or the whole `<id>.mp4`.
  - MSR-VTT (`train_val_videodata.json`): an object with videos [{video_id, split, ...}] and sentences [{video_id,
    caption, sen_id}]; the video is `<video_id>.mp4`, cut already.
  - any CSV (its delimiter is found out), JSON list or JSON lines with a file and its caption, or captions, an entry;
    the columns' names are options. With start and end in seconds a clip is cut out, without them it is the whole file.

Keys are `<file>#t=<start>,<end>&caption=<hash of the caption>` (media fragments, W3C), without the time for a whole
file; with one caption a clip the hash is left out. Lists are read an entry at a time; what was seen takes 100 bytes an
entry.
"""

import dataclasses
import functools
import hashlib
from collections.abc import Iterator
from typing import Any

from data_pipelines.clips import clip_files
from data_pipelines.containers import shard_lists
from data_pipelines.formats import caption_lists, video_rows
from data_pipelines.formats.caption_lists import EACH, FIRST
from data_pipelines.pipeline.sketch import Drop, Medium, Reference, Sketch
from flamingo_jax.data.document import Text

_COMPRESSIONS = ("", ".gz", ".zst", ".bz2", ".xz")
_UNIT = "clip"
_CACHED_FILES = 1 << 14  # MSR-VTT has twenty entries in a row for each
_HASH_BYTES = 6  # so many captions of one clip there are not that two of them had the same


@dataclasses.dataclass(frozen=True)
class VideoListConfig:
    """How lists of captioned clips are read.

    Raises:
      ValueError: `captions` is neither "each" nor "first", or `splits` is a string.
    """

    videos: str = dataclasses.field(
        default="", metadata={"help": "the folder that file names are relative to; empty: the list's own"}
    )
    captions: str = dataclasses.field(
        default=EACH,
        metadata={"help": "'each': a document for each caption; 'first': one a clip, with its first caption"},
    )
    splits: tuple[str, ...] = dataclasses.field(
        default=("train",),
        metadata={"help": "the splits to take of a list that has splits (MSR-VTT's); empty: all"},
    )
    columns: video_rows.Columns = dataclasses.field(default_factory=video_rows.Columns)

    def __post_init__(self):
        caption_lists.check(self.captions, self.splits)


def shards(root: str, config: VideoListConfig) -> list[str]:
    """The lists under `root`, sorted (see `shard_lists`).

    Raises:
      BuildError: there is none.
    """
    names = [f"{name}{compression}" for name in video_rows.SUFFIXES for compression in _COMPRESSIONS]
    return shard_lists.find(root, names, "list of clips")


def read(shard: str, config: VideoListConfig) -> Iterator[Sketch | Drop]:
    """The clips of one list, a document each. The videos are looked for but not opened: see `clip_files.encode`.

    Dropped are clips with `clip_missing`, `clip_outside_input`, `clip_malformed` (no file name, one time without the
    other, no finite numbers, a row with more or fewer cells than the table has columns), `clip_interval_invalid` (does
    not begin at 0 or later and end after that), `clip_unknown` (an MSR-VTT sentence without its video),
    `split_left_out`, `caption_missing` (no list of captions, or an empty one), `caption_null`, `caption_not_a_string`,
    `caption_empty`, `caption_undecodable`, `clip_repeated` (the same piece with the same caption), `caption_not_first`
    (with `captions="first"`); and what `json_lines.read` finds wrong with lines.

    Raises:
      BuildError: a list that is no list of clips, such as JSON that is cut off, or a table without the columns.
    """
    folder, prefix = caption_lists.folder(shard, config.videos)
    locate = functools.lru_cache(_CACHED_FILES)(lambda names: caption_lists.locate(folder, names, _UNIT))
    seen: set[int] = set()
    for row in video_rows.rows(shard_lists.split(shard)[0], config.columns, config.splits):
        if isinstance(row, Drop):
            yield row
            continue
        index, relative, rule = locate(tuple(place.file for place in row.places))
        if rule:
            yield Drop(rule, _UNIT, f"{prefix}{row.places[0].file}", count=len(row.captions))
            continue
        source, reference = f"{prefix}{relative}", Reference(caption_lists.join(folder, relative))
        if interval := row.places[index].interval:
            place = clip_files.place(*interval)
            source = f"{source}#t={place}"
            reference = dataclasses.replace(reference, form=clip_files.CLIP, place=place)
        for value in row.captions:
            yield _clip(source, reference, value, config.captions, seen)


def _clip(source: str, reference: Reference, value: Any, captions: str, seen: set[int]) -> Sketch | Drop:
    """One clip with one caption; `seen` are the hashes of those before it, and gets its own."""
    caption, rule = caption_lists.caption(value)
    key = f"{source}{'&' if reference.place else '#'}caption={_hash(caption)}"
    if not rule and hash(key) in seen:
        rule = "clip_repeated"
    elif not rule and captions == FIRST and hash(source) in seen:
        rule = "caption_not_first"
    if rule:
        return Drop(rule, _UNIT, source)
    seen.add(hash(key))
    if captions == FIRST:
        seen.add(hash(source))
        key = source
    return Sketch(key, (Medium("video", source, reference), Text(caption)))


def _hash(caption: str) -> str:
    return hashlib.blake2b(caption.encode(), digest_size=_HASH_BYTES).hexdigest()
