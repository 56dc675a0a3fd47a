"""Captioned images as COCO lists them, and as Karpathy's split of COCO and Flickr does.

COCO (cocodataset.org, "Data format"): `captions_train2014.json` is an object with `images` [{id, file_name, coco_url,
flickr_url, height, width, ...}] and `annotations` [{id, image_id, caption}], about five captions an image in no order.

Karpathy's `dataset_coco.json`, `dataset_flickr30k.json` (cs.stanford.edu/people/karpathy/deepimagesent): an object with
`images` [{filename, filepath, cocoid, split, sentences: [{raw, sentid, tokens}]}]; Flickr's have no `filepath`. The
splits are train, restval (COCO's: the rest of its validation images, which most add to train), val and test.

The images are files in a folder. Keys are `<file>#<id of the caption>`, such as `train2014/x.jpg#787980`.

A list is read an element at a time. The names of its images and the ids of its captions are in memory (85 MB for the
414,113 captions of COCO's training set), and a COCO list is read twice, so that the order of its parts does not matter.
"""

import dataclasses
import fnmatch
import functools
from collections.abc import Iterator
from typing import Any

from data_pipelines.containers import json_stream, shard_lists, text_values
from data_pipelines.formats import caption_lists
from data_pipelines.formats.caption_lists import EACH, FIRST
from data_pipelines.output import BuildError
from data_pipelines.pipeline.sketch import Drop, Medium, Reference, Sketch
from flamingo_jax.data.document import Text

_NAMES = ("captions_*.json", "dataset_*.json")
_UNIT = "pair"
_CACHED_FILES = 1 << 18
_AMBIGUOUS = ""


@dataclasses.dataclass(frozen=True)
class CocoConfig:
    """How lists of captioned images are read.

    Raises:
      ValueError: `captions` is neither "each" nor "first", or `splits` is a string.
    """

    images: str = dataclasses.field(
        default="", metadata={"help": "the folder that file names are relative to; empty: the list's own"}
    )
    captions: str = dataclasses.field(
        default=EACH,
        metadata={"help": "'each': a document for each caption; 'first': one an image, with its first caption"},
    )
    splits: tuple[str, ...] = dataclasses.field(
        default=("train", "restval"),
        metadata={"help": "the splits to take of a list that has splits; empty: all, also what others test on"},
    )

    def __post_init__(self):
        caption_lists.check(self.captions, self.splits)


def shards(root: str, config: CocoConfig) -> list[str]:
    """The lists under `root`, sorted (see `shard_lists`).

    In a folder, these are the files called as COCO and Karpathy call them; `instances_*.json` and others beside them
    have no captions. A file or a glob may have any name.

    Raises:
      BuildError: there is none, or both kinds are there: Karpathy's lists have the same captions as COCO's.
    """
    found = shard_lists.find(root, (".json", ".json.gz"), "list of captioned images")
    base = [shard.rpartition("/")[2].removesuffix(".gz") for shard in found]
    kinds = [{shard for shard, name in zip(found, base, strict=True) if fnmatch.fnmatch(name, kind)} for kind in _NAMES]
    if all(kinds):
        raise BuildError(
            f"--input {root} has the same captions twice, in {min(kinds[0])} and {min(kinds[1])}: name one of them"
        )
    return sorted(set.union(*kinds)) or found


def read(shard: str, config: CocoConfig) -> Iterator[Sketch | Drop]:
    """The pairs of one list.

    Dropped are pairs with `image_missing`, `image_outside_input`, `image_unknown` (a caption of an image that is not
    listed), `image_ambiguous` (two files have its id), `caption_null`, `caption_not_a_string`, `caption_empty`,
    `caption_malformed` (without an id), `caption_repeated` (two have this id), `caption_not_first` (with
    `captions="first"`), `split_left_out`; and images with `image_malformed` or `caption_missing`.

    Raises:
      BuildError: it is no JSON, cut off, or has no images as these lists do.
    """
    yield from _List(shard, config).read()


class _List:
    """One list, and what is known of it so far."""

    def __init__(self, shard: str, config: CocoConfig):
        self._path = shard_lists.split(shard)[0]
        self._folder, self._prefix = caption_lists.folder(shard, config.images)
        self._config = config
        self._locate = functools.lru_cache(_CACHED_FILES)(
            lambda name: caption_lists.locate(self._folder, (name,), "image")
        )
        self._seen: set[str] = set()  # ids of captions; of Karpathy's, with their files
        self._captioned: set[str] = set()  # files with a caption

    def read(self) -> Iterator[Sketch | Drop]:
        files: dict[Any, str] = {}
        is_list = False
        for name, image in json_stream.elements(self._path):
            if name != "images":
                continue
            is_list = True
            if isinstance(image, dict) and isinstance(image.get("sentences"), list):
                yield from self._karpathy(image)
            elif isinstance(image, dict) and _is_id(image.get("id")) and caption_lists.name(image.get("file_name")):
                file = caption_lists.name(image["file_name"])
                files[image["id"]] = file if files.get(image["id"], file) == file else _AMBIGUOUS
            else:
                yield Drop("image_malformed", "image", f"{self._path}: {image}"[:200])
        if not is_list:
            raise BuildError(f"{self._path} is no list of captioned images: it has no list 'images' with an entry")
        if files:
            yield from self._annotations(files)

    def _annotations(self, files: dict[Any, str]) -> Iterator[Sketch | Drop]:
        used = set()
        for name, annotation in json_stream.elements(self._path):
            if name != "annotations":
                continue
            if not isinstance(annotation, dict) or not all(_is_id(annotation.get(key)) for key in ("id", "image_id")):
                yield Drop("caption_malformed", _UNIT, f"{self._path}: {annotation}"[:200])
                continue
            number, image = annotation["id"], annotation["image_id"]
            used.add(image)
            if not files.get(image):
                rule = "image_ambiguous" if image in files else "image_unknown"
                yield Drop(rule, _UNIT, f"{self._path}: caption {number} of image {image}")
            elif str(number) in self._seen:
                yield Drop("caption_repeated", _UNIT, f"{self._prefix}{files[image]}#{number}")
            else:
                self._seen.add(str(number))
                yield self._pair(files[image], number, annotation.get("caption"))
        for image in files.keys() - used:
            yield Drop("caption_missing", "image", f"{self._prefix}{files[image]}")

    def _karpathy(self, image: dict) -> Iterator[Sketch | Drop]:
        name, folder = caption_lists.name(image.get("filename")), caption_lists.name(image.get("filepath"))
        file = f"{folder}/{name}" if folder else name
        if not name:
            yield Drop("image_malformed", "image", f"{self._path}: {image}"[:200])
        elif self._config.splits and image.get("split") not in self._config.splits:
            example = f"{self._prefix}{file}: {image.get('split')!r}"
            yield Drop("split_left_out", _UNIT, example, count=max(1, len(image["sentences"])))
        elif not image["sentences"]:
            yield Drop("caption_missing", "image", f"{self._prefix}{file}")
        else:
            for place, sentence in enumerate(image["sentences"]):
                sentence = sentence if isinstance(sentence, dict) else {}
                number = sentence.get("sentid", place)
                if not _is_id(number):
                    yield Drop("caption_malformed", _UNIT, f"{self._prefix}{file}: {sentence}"[:200])
                elif f"{file}#{number}" in self._seen:
                    yield Drop("caption_repeated", _UNIT, f"{self._prefix}{file}#{number}")
                else:
                    self._seen.add(f"{file}#{number}")
                    yield self._pair(file, number, sentence.get("raw"))

    def _pair(self, file: str, number: int | str, caption: Any) -> Sketch | Drop:
        key = f"{self._prefix}{file}#{number}"
        text, rule = caption_lists.caption(caption)
        if rule:
            return Drop(rule, _UNIT, key)
        _, relative, rule = self._locate(file)
        if rule:
            return Drop(rule, _UNIT, key)
        source = f"{self._prefix}{relative}"
        if self._config.captions == FIRST:
            if file in self._captioned:
                return Drop("caption_not_first", _UNIT, key)
            self._captioned.add(file)
        reference = Reference(caption_lists.join(self._folder, relative))
        key = source if self._config.captions == FIRST else f"{source}#{number}"
        return Sketch(key, (Medium("image", source, reference), Text(text)))


def _is_id(value: Any) -> bool:
    """Whether this can tell one thing from another: a number or a plain word."""
    if isinstance(value, str):
        return bool(value) and text_values.clean(value) == value
    return isinstance(value, int) and not isinstance(value, bool)
