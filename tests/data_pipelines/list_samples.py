"""Lists of captioned clips for tests, and what is read from them."""

import collections
import csv
import io
import json

from data_pipelines.formats import video_lists
from data_pipelines.formats.video_lists import VideoListConfig
from data_pipelines.pipeline.sketch import Drop


def read(root, **options):
    """({(source, caption): reference}, {rule: count}, the sketches, the drops) of all lists of an input."""
    config = VideoListConfig(**options)
    found = [one for shard in video_lists.shards(str(root), config) for one in video_lists.read(shard, config)]
    drops = [one for one in found if isinstance(one, Drop)]
    sketches = [one for one in found if not isinstance(one, Drop)]
    clips, counts = {}, collections.Counter()
    for sketch in sketches:
        video, text = sketch.items
        assert video.kind == "video" and sketch.key.startswith(video.source)
        clips[video.source, text.text] = video.reference
    assert len({sketch.key for sketch in sketches}) == len(clips) == len(sketches)
    for drop in drops:
        assert drop.unit == "clip" and drop.example
        drop.example.encode()
        counts[drop.rule] += drop.count
    return clips, dict(counts), sketches, drops


def touch(root, *names):
    """Makes files that are there."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"a video")


def write(path, value):
    """Makes a list of bytes, text or a JSON value; gives its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(
        value if isinstance(value, bytes) else (value if isinstance(value, str) else json.dumps(value)).encode()
    )
    return path


def table(rows, **options) -> str:
    """A table as Python's own writer writes it."""
    buffer = io.StringIO(newline="")
    csv.writer(buffer, **options).writerows(rows)
    return buffer.getvalue()
