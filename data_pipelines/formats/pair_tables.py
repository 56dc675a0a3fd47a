"""Tables with a captioned image a row, as Parquet files: the image's bytes or its address, and the caption."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from data_pipelines import addresses
from data_pipelines.containers import parquet_cells, parquet_rows, text_values
from data_pipelines.containers.damage import Damaged
from data_pipelines.formats import captioned
from data_pipelines.pipeline.sketch import Drop, Link, Medium, Reference, Sketch
from flamingo_jax.data.document import Text

_UNIT = "pair"
# By what is read first, in lower case: img2dataset's, Hugging Face's; LAION has URL and TEXT, CC3M and CC12M as
# img2dataset wants them caption and url.
_IMAGES = ("jpg", "png", "webp", "jpeg", "image")
_CAPTIONS = ("txt", "caption", "text")
_ADDRESSES = ("url", "image_url")


@dataclasses.dataclass(frozen=True)
class _Columns:
    """Names of columns; "" where there is none. `place` is the image's in a row, for a `Reference`."""

    place: str
    caption: str
    url: str
    status: str

    def read(self) -> list[str]:
        return [name for name in (self.caption, self.url, self.status) if name]


def read(path: str, name: str, caption_key: str) -> Iterator[Sketch | Drop]:
    """The pairs of a table. The images themselves are not read here.

    Args:
      path: of the Parquet file.
      name: of the shard, which stands before the row numbers in keys.
      caption_key: the caption's column; "" for the first of `txt`, `caption`, `text` that there is.
    """
    chosen: list[_Columns] = []

    def choose(schema: pa.Schema) -> list[str]:
        chosen.append(_find(schema, caption_key))
        return chosen[0].read()

    for row in parquet_rows.read(path, _UNIT, choose):
        if isinstance(row, Drop):
            yield row
        else:
            yield from _pair(path, f"{name}/{row[0]}", *row, chosen[0])


def _pair(path: str, key: str, row: int, record: dict[str, Any], columns: _Columns) -> Iterator[Sketch | Drop]:
    if columns.status and record[columns.status] != "success":
        yield Drop("image_missing", _UNIT, f"{key}: {record[columns.status]}")
        return
    caption, rule = captioned.caption(record[columns.caption])
    source = text_values.check(record[columns.url], "url")[0] if columns.url else ""
    if columns.place:
        reference = Reference(path, parquet_cells.FORM, place=f"{row}/{columns.place}")
        image: Medium | Link = Medium("image", source or key, reference)
    else:
        address = addresses.absolute("", None, source)
        image = Link("image", (address,))
        rule = rule or ("" if address else "image_not_on_the_web")
    yield Drop(rule, _UNIT, key) if rule else Sketch(key, (image, Text(caption)))


def _find(schema: pa.Schema, caption_key: str) -> _Columns:
    names = {name.lower(): name for name in reversed(schema.names)}

    def first(candidates: tuple[str, ...]) -> str:
        return next((names[name] for name in candidates if name in names), "")

    caption = first((caption_key.lower(),) if caption_key else _CAPTIONS)
    place = next((place for name in _IMAGES if name in names and (place := _place(schema.field(names[name])))), "")
    url = first(_ADDRESSES)
    if not caption or not (place or url):
        what = f"caption ({caption_key or ', '.join(_CAPTIONS)})" if not caption else "image or address"
        raise Damaged("columns_missing", f"no column with a {what} among {', '.join(schema.names)}"[:300])
    return _Columns(place, caption, url, names.get("status", "") if place else "")


def _place(field: pa.Field) -> str:
    """Where the bytes are in a column, "" if it has none."""
    if pa.types.is_struct(field.type):
        inner = field.type.field("bytes") if field.type.get_field_index("bytes") >= 0 else None
        return f"{field.name}/bytes" if inner is not None and _is_binary(inner.type) else ""
    return field.name if _is_binary(field.type) else ""


def _is_binary(kind: pa.DataType) -> bool:
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)
