"""Samples to captioned images and clips."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from data_pipelines.containers import json_lines, text_values
from data_pipelines.formats.samples import File, Sample
from data_pipelines.pipeline.sketch import Drop, Medium, Sketch
from flamingo_jax.data.document import Text

_ENDINGS = {
    **dict.fromkeys(("jpg", "jpeg", "png", "webp", "gif", "bmp", "tif", "tiff", "avif"), "image"),
    **dict.fromkeys(("mp4", "webm", "mkv", "mov", "avi", "m4v"), "video"),
}
_MAX_TEXT_BYTES = 1 << 24  # of a caption or the JSON beside it
_UNIT = "pair"

Fetch = Callable[[File], bytes]


def kind(ending: str) -> str:
    """ "image" or "video" by the last part of an ending (or name) such as "left.png"; "" for other files."""
    return _ENDINGS.get(ending.rpartition(".")[2].lower(), "")


def caption(value: Any) -> tuple[str, str]:
    """(the caption that a value holds, in one line, "") or ("", the rule that refuses it)."""
    text, rule = text_values.check(value, "caption")
    return " ".join(text.split()), rule


def pairs(found: Iterable[Sample | File], prefix: str, fetch: Fetch, caption_key: str) -> Iterator[Sketch | Drop]:
    """A document for each sample that has a caption and an image or a clip.

    Args:
      found: what `samples.group` gives; what it raises is passed on.
      prefix: stands before the samples' names in keys.
      fetch: gives the content of a file, for captions.
      caption_key: of the JSON; "" for the `.txt`, else "caption" of the JSON.
    """
    seen: set[int] = set()  # of names a hash, 60 bytes each: tars have some 10,000 samples
    for sample in found:
        if isinstance(sample, File):
            yield Drop(sample.rule, _UNIT, f"{prefix}{sample.name}")
            continue
        made = list(_pair(sample, f"{prefix}{sample.name}", fetch, caption_key))
        if any(isinstance(one, Sketch) for one in made):
            if hash(sample.name) in seen:
                made = [Drop("key_repeated", _UNIT, f"{prefix}{sample.name}")]
            seen.add(hash(sample.name))
        yield from made


def _pair(sample: Sample, key: str, fetch: Fetch, caption_key: str) -> Iterator[Sketch | Drop]:
    media = [file for ending, file in sample.files.items() if kind(ending)]
    # `a.jpg` before `a.thumb.jpg`; beside a clip an image is its poster.
    media.sort(key=lambda file: (file.name.rpartition("/")[2].count("."), kind(file.name) != "video"))
    text, rule, source = _texts(sample, fetch, caption_key)
    if not media:
        rule = "image_missing"
    elif media[0].length == 0:
        rule = "image_empty"
    if rule:
        if sample.whole:  # else what is missing was counted where it was lost
            yield Drop(rule, _UNIT, key, media[0].reference if media else None)
        return
    for other in media[1:]:
        what = "clip" if kind(other.name) == "video" else "image"
        yield Drop("medium_beside_another", what, f"{key}: {other.name}", other.reference)
    yield Sketch(key, (Medium(kind(media[0].name), source or key, media[0].reference), Text(text)))


def _texts(sample: Sample, fetch: Fetch, caption_key: str) -> tuple[str, str, str]:
    """(caption, the rule that refuses it or "", the address that the JSON says)."""
    about, readable = {}, True
    if file := sample.files.get("json"):
        about, readable = _json(file, fetch)
    source = text_values.check(about.get("url"), "url")[0]
    if not caption_key and (file := sample.files.get("txt")):
        if file.length > _MAX_TEXT_BYTES:
            return "", "caption_too_many_bytes", source
        try:
            return *caption(fetch(file).decode("utf-8-sig")), source
        except UnicodeDecodeError:
            return "", "caption_undecodable", source
    if not readable:
        return "", "caption_undecodable", source
    if (caption_key or "caption") not in about:
        return "", "caption_missing", source
    return *caption(about[caption_key or "caption"]), source


def _json(file: File, fetch: Fetch) -> tuple[dict[str, Any], bool]:
    """(the object in a JSON file, True) or ({}, False)."""
    if file.length > _MAX_TEXT_BYTES:
        return {}, False
    value, rule = json_lines.parse(fetch(file))
    return value, not rule
