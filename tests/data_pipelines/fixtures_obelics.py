"""Parquet files with the schema of HuggingFaceM4/OBELICS."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

SCHEMA = pa.schema(
    [
        ("images", pa.list_(pa.string())),
        ("metadata", pa.string()),
        ("general_metadata", pa.string()),
        ("texts", pa.list_(pa.string())),
    ]
)
_PAGE = "https://example.org/page.html"


def row(images: Sequence | None, texts: Sequence | None, **changes) -> dict:
    """A document; its metadata are those of the images."""
    about = [
        image
        and {
            "document_url": _PAGE,
            "unformatted_src": image,
            "src": image,
            "formatted_filename": "picture",
            "alt_text": "A picture",
            "original_width": 1920,
            "original_height": 1080,
            "format": "jpeg",
        }
        for image in images or ()
    ]
    general = {
        "url": _PAGE,
        "warc_filename": "crawl-data/CC-MAIN-2021-43/segments/1634323585305.53/warc/CC-MAIN-00409.warc.gz",
        "warc_record_offset": 322560850,
        "warc_record_length": 17051,
    }
    return {
        "images": images,
        "metadata": json.dumps(about),
        "general_metadata": json.dumps(general),
        "texts": texts,
        **changes,
    }


def write(path: Path, rows: Iterable[dict], schema: pa.Schema = SCHEMA, row_group_size: int = 1000) -> Path:
    """Writes a shard; OBELICS has a thousand rows in a row group."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(list(rows), schema=schema), path, row_group_size=row_group_size)
    return path
