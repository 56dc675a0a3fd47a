"""OBELICS: 141 million web documents of interleaved texts and images, as Parquet files.

Columns (dataset card of HuggingFaceM4/OBELICS): `texts` and `images`, lists of strings of one length, of which at each
index exactly one is not null; images are addresses. A text holds paragraphs parted by blank lines. `metadata` and
`general_metadata` are JSON strings (the images' alternative texts, the page's address and its place in Common Crawl):
nothing of them goes into a document, so they are not read; a document's key says in which row they stand.

Where a page turns to another subject, OBELICS puts a marker into the text, which the training of IDEFICS replaced by
the end of a document; here the documents are parted there.
"""

import dataclasses
import re
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa

from data_pipelines import addresses
from data_pipelines.containers import parquet_rows, shard_lists, text_values
from data_pipelines.containers.damage import Damaged
from data_pipelines.output import BuildError
from data_pipelines.pipeline.sketch import Drop, Link, Sketch
from flamingo_jax.data.document import Text

_COLUMNS = ("images", "texts")
_BLANK_LINES = re.compile(r"\n[^\S\n]*\n\s*")


@dataclasses.dataclass(frozen=True)
class ObelicsConfig:
    """How OBELICS is read."""

    end_of_document: str = dataclasses.field(
        default="END_OF_DOCUMENT_TOKEN_TO_BE_REPLACED",
        metadata={"help": "part documents at this marker within a text; empty: nowhere"},
    )


def shards(root: str, config: ObelicsConfig) -> list[str]:
    """The Parquet files under `root`, sorted (see `shard_lists`).

    Raises:
      BuildError: there is none, or the first one is a table of something else.
    """
    found = shard_lists.find(root, (".parquet",), "Parquet file")
    try:
        with parquet_rows.opened(shard_lists.split(found[0])[0]) as file:
            _choose(file.schema_arrow)
    except Damaged as error:
        if error.rule == "columns_missing":
            raise BuildError(f"--input {root} is not OBELICS: {found[0]}: {error}") from None
    return found


def read(shard: str, config: ObelicsConfig) -> Iterator[Sketch | Drop]:
    """The documents of one Parquet file; keys are `<shard's name>/<row>`, with `-<part>` after a marker.

    Dropped are documents with `list_null`, `lengths_differ`, `document_without_images`, `document_without_text`;
    paragraphs with `image_and_text_null`, `image_and_text_set`, `text_empty`, `text_not_a_string`; images with
    `image_not_on_the_web`, `image_repeated` (in its document); and what `parquet_rows.read` drops.
    """
    path, name = shard_lists.split(shard)
    for row in parquet_rows.read(path, "document", _choose):
        if isinstance(row, Drop):
            yield row
        else:
            number, record = row
            yield from _documents(f"{name}/{number}", record["images"], record["texts"], config)


def _choose(schema: pa.Schema) -> Sequence[str]:
    if missing := [name for name in _COLUMNS if name not in schema.names]:
        raise Damaged("columns_missing", f"no column {' or '.join(missing)} among {', '.join(schema.names)}"[:300])
    return _COLUMNS


def _documents(key: str, images: Any, texts: Any, config: ObelicsConfig) -> Iterator[Sketch | Drop]:
    if not isinstance(images, list) or not isinstance(texts, list):
        yield Drop("list_null", "document", key)
        return
    if len(images) != len(texts):
        yield Drop("lengths_differ", "document", f"{key}: {len(images)} images, {len(texts)} texts")
        return
    part, parts = _Part(key), 0
    for image, text in zip(images, texts, strict=True):
        # The code that made OBELICS writes an empty string, not null, beside a text in some of its steps.
        if image and text:
            yield Drop("image_and_text_set", "paragraph", f"{key}: {text}")
        elif image:
            yield from part.add_image(image)
        elif text is None:
            yield Drop("image_and_text_null", "paragraph", key)
        elif rule := text_values.check(text, "text")[1]:
            yield Drop(rule, "paragraph", key)
        else:
            before, *after = text.split(config.end_of_document) if config.end_of_document else [text]
            part.add_text(before)
            for piece in after:
                yield from part.finish()
                parts += 1
                part = _Part(f"{key}-{parts}")
                part.add_text(piece)
    yield from part.finish(may_be_empty=parts > 0)


class _Part:
    """A document under construction: a row, or what stands between two markers of a row."""

    def __init__(self, key: str):
        self._key = key
        self._items: list[Text | Link] = []
        self._images: set[str] = set()

    def add_image(self, url: Any) -> Iterator[Drop]:
        address = addresses.absolute("", None, url) if isinstance(url, str) else ""
        if not address:
            yield Drop("image_not_on_the_web", "image", f"{self._key}: {url}")
        elif address in self._images:
            yield Drop("image_repeated", "image", f"{self._key}: {address}")
        else:
            self._images.add(address)
            self._items.append(Link("image", (address,)))

    def add_text(self, text: str) -> None:
        paragraphs = map(text_values.clean, _BLANK_LINES.split(text))
        self._items += [Text(paragraph) for paragraph in paragraphs if paragraph]

    def finish(self, may_be_empty: bool = True) -> Iterator[Sketch | Drop]:
        """The document, or why it is none. Nothing at all between two markers is nothing dropped."""
        if self._images and len(self._items) > len(self._images):
            yield Sketch(self._key, tuple(self._items))
        elif self._items or not may_be_empty:
            rule = "document_without_text" if self._images else "document_without_images"
            yield Drop(rule, "document", self._key)
