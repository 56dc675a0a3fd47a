"""Entries of lists of clips, in whatever layout: which file, which piece of it, which captions."""

import csv
import dataclasses
import json
import math
import re
from collections.abc import Iterator, Sequence
from typing import Any

from data_pipelines.containers import damage, json_lines, json_stream, line_streams
from data_pipelines.formats import caption_lists
from data_pipelines.output import BuildError
from data_pipelines.pipeline.sketch import Drop

_TABLES, _LINES, _TREES = (".csv", ".tsv"), (".jsonl", ".ndjson"), (".json",)
SUFFIXES = (*_TABLES, *_LINES, *_TREES)
_UNIT = "clip"
_VIDEOS = (".mp4", ".webm", ".mkv", ".avi", ".mov")  # of files that are listed by a name without an ending
_DELIMITERS = (",", "\t", ";", "|")
_VATEX_NAME = re.compile(r"(.+)_(\d{6})_(\d{6})")
_WEBVID = ("videoid", "page_dir", "name")
_LATEST = 1e9  # seconds; later times overflow the clocks of containers
_EXAMPLE = 200  # characters


@dataclasses.dataclass(frozen=True)
class Columns:
    """Names of columns, or of keys in JSON, in lists of no known layout."""

    file: str = dataclasses.field(default="file", metadata={"help": "the column with the video's file"})
    caption: str = dataclasses.field(default="caption", metadata={"help": "the column with the caption"})
    start: str = dataclasses.field(default="start", metadata={"help": "the column with the beginning in seconds"})
    end: str = dataclasses.field(default="end", metadata={"help": "the column with the end in seconds"})


@dataclasses.dataclass(frozen=True, slots=True)
class Place:
    """A file relative to the folder of videos, and (start, end) in seconds within it; None for all of it."""

    file: str
    interval: tuple[float, float] | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """One entry: `places` are where the clip may be (the first that exists counts), `captions` are as listed."""

    places: tuple[Place, ...]
    captions: tuple[Any, ...]


def rows(path: str, columns: Columns, splits: Sequence[str]) -> Iterator[Row | Drop]:
    """The entries of one list (see `video_lists`).

    Raises:
      BuildError: the file is no such list, or has no entry.
    """
    name = re.sub(r"\.(gz|zst|bz2|xz)$", "", path.lower())
    if name.endswith(_TABLES):
        found = _table(path, columns)
    elif name.endswith(_LINES):
        found = _lines(path, columns)
    else:
        found = _tree(path, columns, splits)
    is_empty = True
    for row in found:
        is_empty = False
        yield row
    if is_empty:
        raise BuildError(f"{path} must have at least one clip")


def _table(path: str, columns: Columns) -> Iterator[Row | Drop]:
    try:
        for stream in line_streams.streams(path):
            text = json_stream.as_text(stream)
            first = next((line for line in text if line.strip()), "")
            delimiter = _delimiter(path, first, columns)
            header = [name.strip() for name in next(csv.reader([first], delimiter=delimiter))]
            yield from _cells(path, csv.reader(text, delimiter=delimiter), header, columns)
    except damage.ERRORS as error:
        yield Drop("shard_truncated", _UNIT, f"{path}: {damage.explain(error)}")


def _delimiter(path: str, line: str, columns: Columns) -> str:
    """The one by which the first line of a table has the columns."""
    for delimiter in _DELIMITERS:
        names = [name.strip() for name in next(csv.reader([line], delimiter=delimiter), [])]
        for wanted in ((columns.file, columns.caption), _WEBVID):
            if all(names.count(name) == 1 for name in wanted):
                return delimiter
    raise BuildError(
        f"{path} must have the columns {columns.file} and {columns.caption} (set others by the options), or WebVid's "
        f"{', '.join(_WEBVID)}, each once; its first line is {line.strip()[:_EXAMPLE]!r}"
    )


def _cells(path: str, reader, header: list[str], columns: Columns) -> Iterator[Row | Drop]:
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:  # a cell of 128 kB, as after a quotation mark that nothing closes
            yield Drop("clip_malformed", _UNIT, f"{path}, line {reader.line_num + 1}: {error}")
            continue
        if len(cells) == len(header):
            row = _entry(dict(zip(header, cells, strict=True)), columns, is_text=True)
            where = f"{path}, line {reader.line_num + 1}"
            yield row if isinstance(row, Row) else Drop(row, _UNIT, f"{where}: {cells}"[:_EXAMPLE])
        elif cells:
            where = f"{path}, line {reader.line_num + 1}: {len(cells)} cells for {len(header)} columns"
            yield Drop("clip_malformed", _UNIT, where)


def _lines(path: str, columns: Columns) -> Iterator[Row | Drop]:
    for record in json_lines.read(path, _UNIT):
        yield record if isinstance(record, Drop) else _checked(path, record[1], columns, f"line {record[0]}")


def _tree(path: str, columns: Columns, splits: Sequence[str]) -> Iterator[Row | Drop]:
    splits_of: dict[str, Any] = {}  # of MSR-VTT's videos
    is_list = False
    for number, (key, element) in enumerate(json_stream.elements(path)):
        if not key:
            is_list = True
            yield _checked(path, element, columns, f"entry {number}")
        elif key == "videos" and isinstance(element, dict) and caption_lists.name(element.get("video_id")):
            splits_of[caption_lists.name(element["video_id"])] = element.get("split")
        elif key == "videos":
            yield Drop("clip_malformed", _UNIT, f"{path}: {element}"[:_EXAMPLE])
    if splits_of:
        yield from _sentences(path, splits_of, splits)
    elif not is_list:
        raise BuildError(f"{path} must be a JSON list with at least one clip, or an object of videos and sentences")


def _sentences(path: str, splits_of: dict[str, Any], splits: Sequence[str]) -> Iterator[Row | Drop]:
    """MSR-VTT's captions, on a second way through the file."""
    captioned = set()
    for key, sentence in json_stream.elements(path):
        if key != "sentences":
            continue
        name = caption_lists.name(sentence.get("video_id")) if isinstance(sentence, dict) else ""
        captioned.add(name)
        if not name:
            yield Drop("clip_malformed", _UNIT, f"{path}: {sentence}"[:_EXAMPLE])
        elif name not in splits_of:
            yield Drop("clip_unknown", _UNIT, f"{path}: {sentence}"[:_EXAMPLE])
        elif splits and splits_of[name] not in (None, *splits):
            yield Drop("split_left_out", _UNIT, f"{name}: {splits_of[name]!r}")
        else:
            yield Row(_named(name), (sentence.get("caption"),))
    for name in splits_of.keys() - captioned:
        yield Drop("caption_missing", _UNIT, f"{path}: {name}")


def _checked(path: str, entry: Any, columns: Columns, where: str) -> Row | Drop:
    row = _entry(entry, columns, is_text=False) if isinstance(entry, dict) else "clip_malformed"
    if isinstance(row, Row):
        return row
    return Drop(row, _UNIT, f"{path}, {where}: {json.dumps(entry)}"[:_EXAMPLE])


def _entry(entry: dict[str, Any], columns: Columns, is_text: bool) -> Row | str:
    """An entry, or the rule that drops it. `is_text`: numbers are written out, as in tables."""
    if columns.file in entry:
        name = caption_lists.name(entry[columns.file])
        interval = _interval(entry.get(columns.start), entry.get(columns.end), is_text) if name else "clip_malformed"
        if isinstance(interval, str):
            return interval
        places, captions = (Place(name, interval),), entry.get(columns.caption)
    elif isinstance(entry.get("videoID"), str):
        match = _VATEX_NAME.fullmatch(caption_lists.name(entry["videoID"]))
        if not match:
            return "clip_malformed"
        interval = _interval(int(match[2]), int(match[3]), is_text=False)
        if isinstance(interval, str):
            return interval
        places, captions = (*_named(match[0]), *_named(match[1], interval)), entry.get("enCap", [])
    elif name := caption_lists.name(entry.get("videoid")):
        folder = caption_lists.name(entry.get("page_dir"))
        places, captions = _named(f"{folder}/{name}" if folder else name), entry.get("name")
    else:
        return "clip_malformed"
    captions = tuple(captions) if isinstance(captions, list) else (captions,)
    return Row(places, captions) if captions else "caption_missing"


def _named(name: str, interval: tuple[float, float] | None = None) -> tuple[Place, ...]:
    endings = ("",) if name.lower().endswith(_VIDEOS) else _VIDEOS
    return tuple(Place(f"{name}{ending}", interval) for ending in endings)


def _interval(start: Any, end: Any, is_text: bool) -> tuple[float, float] | str | None:
    """(start, end) in seconds, None if there is none, or the rule that such times break."""
    times = [start, end]
    if is_text:
        try:
            times = [float(time) if time and time.strip() else None for time in times]
        except ValueError:
            return "clip_malformed"
    if times == [None, None]:
        return None
    if not all(isinstance(time, int | float) and not isinstance(time, bool) for time in times):
        return "clip_malformed"
    try:
        begin, finish = map(float, times)
    except OverflowError:  # an integer of hundreds of digits
        return "clip_malformed"
    if not (math.isfinite(begin) and math.isfinite(finish)):
        return "clip_malformed"
    return (begin, finish) if 0 <= begin < finish <= _LATEST else "clip_interval_invalid"
