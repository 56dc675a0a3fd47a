"""Text without media, for training on text beside images (the role of MassiveText): a document is one text, as it is.

Layouts: `.txt` files, a document each; JSON lines (`.jsonl`, `.ndjson`, or `.json` with an object a line, as C4 has it)
and Parquet tables (FineWeb), a document a record. All but tables may be compressed (gzip, zstd, bzip2, xz, zip).

The text is not parted into paragraphs: what stands between two lines (verse, code, tables) would be lost with it.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa

from data_pipelines.containers import damage, json_lines, line_streams, parquet_rows, shard_lists, text_values
from data_pipelines.m3w import encoding
from data_pipelines.pipeline.sketch import Drop, Sketch
from flamingo_jax.data.document import Text

_COMPRESSIONS = ("", ".gz", ".zst", ".bz2", ".xz", ".zip")
_FILES = tuple(f".txt{compression}" for compression in _COMPRESSIONS)
_LINES = tuple(f".{name}{compression}" for name in ("jsonl", "ndjson", "json") for compression in _COMPRESSIONS)
_TABLES = (".parquet",)
_MAX_BYTES = 1 << 26  # of a .txt file: longer ones are no single documents
_UNIT = "document"


@dataclasses.dataclass(frozen=True)
class PlainTextConfig:
    """How plain text is read."""

    text_key: str = dataclasses.field(
        default="text", metadata={"help": "key of the JSON object, or column of the table, with the text"}
    )


def shards(root: str, config: PlainTextConfig) -> list[str]:
    """The files of text under `root`, sorted (see `shard_lists`).

    Raises:
      BuildError: there is none.
    """
    return shard_lists.find(root, (*_FILES, *_LINES, *_TABLES), "file of text")


def read(shard: str, config: PlainTextConfig) -> Iterator[Sketch | Drop]:
    """The documents of one shard; keys are the shard's name for a `.txt` file, else `<shard's name>/<line or row>`.

    Dropped are documents with `text_missing`, `text_null`, `text_not_a_string`, `text_empty`, `text_undecodable` (a
    `.txt` file in no known encoding), `text_too_many_bytes`; and what `json_lines.read` and `parquet_rows.read` drop.
    """
    path, name = shard_lists.split(shard)
    if path.lower().endswith(_TABLES):
        records = parquet_rows.read(path, _UNIT, lambda schema: _choose(schema, config.text_key))
    elif path.lower().endswith(_FILES):
        yield from _read_files(path, name)
        return
    else:
        records = json_lines.read(path, _UNIT)
    for record in records:
        if isinstance(record, Drop):
            yield record
        elif config.text_key in record[1]:
            yield _document(f"{name}/{record[0]}", record[1][config.text_key])
        else:
            yield Drop("text_missing", _UNIT, f"{name}/{record[0]}")


def _read_files(path: str, name: str) -> Iterator[Sketch | Drop]:
    """The one text of a `.txt` file, or those in a zip archive."""
    count = 0
    try:
        for count, stream in enumerate(line_streams.streams(path)):
            key = f"{name}/{count}" if path.lower().endswith(".zip") else name
            encoded = stream.read(_MAX_BYTES + 1)
            if len(encoded) > _MAX_BYTES:
                yield Drop("text_too_many_bytes", _UNIT, key)
            elif (text := encoding.decode(encoded)) is None:
                yield Drop("text_undecodable", _UNIT, key)
            else:
                yield _document(key, text)
    except damage.ERRORS as error:
        yield Drop("shard_truncated", _UNIT, f"{path}: {damage.explain(error)}")


def _document(key: str, value: Any) -> Sketch | Drop:
    text, rule = text_values.check(value, "text")
    return Drop(rule, _UNIT, key) if rule else Sketch(key, (Text(text),))


def _choose(schema: pa.Schema, column: str) -> Sequence[str]:
    if column not in schema.names:
        raise damage.Damaged("columns_missing", f"no column {column} among {', '.join(schema.names)}"[:300])
    return [column]
