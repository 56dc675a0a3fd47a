"""Shards of MMC4 as published, and as OpenFlamingo's `convert_mmc4_to_wds.py` makes them of these."""

import base64
import json
import uuid
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from tests.data_pipelines.fixtures_tars import JPEG, tar_bytes


def info(number: int, sentence, similarity=0.3, **more) -> dict:
    """An entry of `image_info`."""
    return {
        "image_name": f"{number:012x}.jpg",
        "raw_url": f"http://example.org/pictures/{number}.jpg",
        "matched_text_index": sentence,
        "matched_sim": similarity,
        "face_detections": None,
        **more,
    }


def record(sentences, images: Sequence | None, **changes) -> dict:
    """A document."""
    return {
        "text_list": sentences,
        "url": "http://example.org/page.html",
        "image_info": images,
        "similarity_matrix": [[0.25] * len(sentences or ()) for _ in images or ()],
        "could_have_url_duplicate": 0,
        **changes,
    }


def lines(records: Iterable) -> bytes:
    """JSON lines; bytes are taken as they are."""
    encoded = (one if isinstance(one, bytes) else json.dumps(one).encode() for one in records)
    return b"".join(line + b"\n" for line in encoded)


def write_zip(path: Path, content: bytes) -> Path:
    """The published form: `docs_no_face_shard_0_v3.jsonl.zip` with one file, `docs_no_face_shard_0_v3.jsonl`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(path.name.removesuffix(".zip"), content)
    return path


def embed(document: dict, image: bytes = JPEG) -> dict:
    """The document with an image in each entry whose similarity is known, as the converter puts those it finds."""
    encoded = base64.b64encode(image).decode()
    images = [{**one, "image_base64": encoded} for one in document["image_info"]]
    return {**document, "image_info": images}


def write_tar(path: Path, records: Iterable) -> Path:
    """The converter's form: a JSON file a document, under a random key."""
    encoded = (one if isinstance(one, bytes) else json.dumps(one).encode() for one in records)
    keys = (uuid.UUID(int=number).hex for number in range(1_000))
    path.write_bytes(tar_bytes((f"{key}.json", content) for key, content in zip(keys, encoded, strict=False)))
    return path
