"""Multimodal C4: C4's pages as lists of sentences, with the images of each page assigned to sentences that they fit.

Two layouts are read:
  - the corpus as published (github.com/allenai/mmc4): `docs_*_shard_<n>_v<m>.jsonl.zip`, or unpacked `.jsonl`. A line
    has `text_list` (sentences), `url`, `image_info` (a list of `image_name`, `raw_url`, `matched_text_index`,
    `matched_sim`, `face_detections`), `similarity_matrix`, `could_have_url_duplicate`. Images are addresses, or lie in
    a folder.
  - as OpenFlamingo converts it for training: WebDataset tars of one such JSON a document, with the JPEG of each image
    that could be fetched as `image_base64` in its `image_info`.

An image stands before the sentence it is matched to, as in OpenFlamingo's training, which drops images of less
similarity than 0.24 to it. (OpenFlamingo also matches images and sentences anew, one to one, among the images it has;
here the corpus' own assignment counts.) Sentences between two images are joined by spaces into one text, as there.
"""

import dataclasses
import math
from collections.abc import Callable, Iterator
from typing import Any

from etils import epath

from data_pipelines.containers import json_lines, shard_lists, tar_index, text_values
from data_pipelines.containers.damage import Damaged
from data_pipelines.formats import mmc4_images
from data_pipelines.pipeline.sketch import JSON_BASE64, Drop, Link, Medium, Reference, Sketch
from flamingo_jax.data.document import Text

_LINES = tuple(f".jsonl{compression}" for compression in ("", ".zip", ".gz", ".zst", ".bz2", ".xz"))
_MAX_TAR_RECORD = 1 << 28  # bytes of one document with its images
_UNIT = "document"

Locate = Callable[[int, dict[str, Any]], Medium | Link | str]
"""(index in `image_info`, the entry there) -> the image, or the rule that drops it."""


@dataclasses.dataclass(frozen=True)
class Mmc4Config:
    """How MMC4 is read."""

    min_similarity: float = dataclasses.field(
        default=0.24, metadata={"help": "drop an image of less CLIP similarity to its sentence; OpenFlamingo's value"}
    )
    max_images: int = dataclasses.field(
        default=0, metadata={"help": "drop the images of a document after so many; 0: keep all"}
    )
    images_folder: str = dataclasses.field(
        default="",
        metadata={"help": "where MMC4's download_images.py has put the images, by image_name; empty: they are links"},
    )


def shards(root: str, config: Mmc4Config) -> list[str]:
    """The `.jsonl` files, plain or compressed, and the tars under `root`, sorted (see `shard_lists`).

    Raises:
      BuildError: there is none, or a tar is compressed.
    """
    shard_lists.refuse_compressed_tars(root)
    return shard_lists.find(root, (*_LINES, ".zip", ".tar"), "shard of MMC4")


def read(shard: str, config: Mmc4Config) -> Iterator[Sketch | Drop]:
    """The documents of one shard; keys are `<shard's name>/<line>` or, in a tar, `<shard's name>/<member's name>`.

    Dropped are documents with `list_missing` (no `text_list` or `image_info`), `document_without_images`,
    `document_without_text`; paragraphs with `text_null`, `text_not_a_string`, `text_empty`; images with
    `image_info_invalid`, `image_without_sentence` (no such index), `image_similarity_unknown`,
    `image_similarity_too_low`, `image_missing`, `image_outside_input`, `image_not_on_the_web`, `image_over_limit`; and
    what `json_lines.read` and `tar_index.members` find wrong with shards.
    """
    path, name = shard_lists.split(shard)
    if path.lower().endswith(".tar"):
        yield from _read_tar(path, name, config)
        return
    folders = mmc4_images.folders(config.images_folder, name)
    for line in json_lines.read(path, _UNIT):
        if isinstance(line, Drop):
            yield line
        else:
            number, record = line
            yield from _document(f"{name}/{number}", record, lambda _, info: mmc4_images.locate(info, folders), config)


def _read_tar(path: str, name: str, config: Mmc4Config) -> Iterator[Sketch | Drop]:
    with epath.Path(path).open("rb") as file:
        try:
            for member in tar_index.members(file):
                if not member.name.lower().endswith(".json") and not member.rule:
                    continue
                key = f"{name}/{member.name}"
                if member.rule or not 0 < member.length <= _MAX_TAR_RECORD:
                    rule = member.rule or ("record_too_many_bytes" if member.length else "record_empty")
                    yield Drop(rule, _UNIT, key)
                    continue
                file.seek(member.offset)
                record, rule = json_lines.parse(file.read(member.length))
                if rule:
                    yield Drop(rule, _UNIT, key)
                else:
                    yield from _document(key, record, _embedded(path, member), config)
        except Damaged as error:
            yield Drop(error.rule, _UNIT, f"{path}: {error}")


def _embedded(path: str, member: tar_index.Member) -> Locate:
    def locate(index: int, info: dict[str, Any]) -> Medium | str:
        encoded = info.get("image_base64")
        if not isinstance(encoded, str) or not encoded:
            return "image_missing"
        place = f"image_info/{index}/image_base64"
        reference = Reference(path, JSON_BASE64, member.offset, member.length, place)
        return Medium("image", mmc4_images.source(info), reference)

    return locate


def _document(key: str, record: dict[str, Any], locate: Locate, config: Mmc4Config) -> Iterator[Sketch | Drop]:
    sentences, images = record.get("text_list"), record.get("image_info")
    if not isinstance(sentences, list) or not isinstance(images, list):
        yield Drop("list_missing", _UNIT, key)
        return
    before: dict[int, list[Medium | Link]] = {}
    for index, info in enumerate(images):
        found = _place(index, info, len(sentences), locate, config)
        if isinstance(found, str):
            yield Drop(found, "image", f"{key}: {mmc4_images.source(info)}")
        else:
            before.setdefault(info["matched_text_index"], []).append(found)
    items: list[Text | Medium | Link] = []
    run: list[str] = []  # sentences since the last image
    count = 0
    for index, sentence in enumerate(sentences):
        for image in before.get(index, ()):
            if count == config.max_images > 0:
                yield Drop("image_over_limit", "image", f"{key}: {index}")
                continue
            items += [Text(" ".join(run))] if run else []
            items.append(image)
            run, count = [], count + 1
        text, rule = text_values.check(sentence, "text")
        if rule:
            yield Drop(rule, "paragraph", key)
        else:
            run.append(text)
    items += [Text(" ".join(run))] if run else []
    if count and len(items) > count:
        yield Sketch(key, tuple(items))
    else:
        yield Drop("document_without_text" if count else "document_without_images", _UNIT, key)


def _place(index: int, info: Any, sentences: int, locate: Locate, config: Mmc4Config) -> Medium | Link | str:
    """The image of one entry of `image_info`, whose sentence exists, or the rule that drops it."""
    if not isinstance(info, dict):
        return "image_info_invalid"
    sentence = info.get("matched_text_index")
    if isinstance(sentence, bool) or not isinstance(sentence, int) or not 0 <= sentence < sentences:
        return "image_without_sentence"
    similarity = _number(info.get("matched_sim"))
    if not math.isfinite(similarity):
        return "image_similarity_unknown"
    if similarity < config.min_similarity:
        return "image_similarity_too_low"
    return locate(index, info)


def _number(value: Any) -> float:
    """A similarity, spelled as a number or as a string; NaN where it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return math.nan
    try:
        return float(value)
    except (ValueError, OverflowError):
        return math.nan
