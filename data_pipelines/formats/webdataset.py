"""Captioned images and clips as WebDataset and img2dataset store them.

Three layouts, each of which img2dataset writes (github.com/rom1504/img2dataset, `writer.py`):
  - `webdataset`: tars `00000.tar` with `000000012.jpg`, `000000012.json` (`url`, `caption`, `status`, `width`, ...) and
    `000000012.txt` (the caption), one after another. Also what others pack so: clips as `.mp4`, other image types.
  - `files`: the same files in folders `00000/`.
  - `parquet`: tables `00000.parquet` with a row a pair: `key`, `jpg` (bytes; null if the image could not be fetched),
    `txt`, `caption`, `url`, `status`, ... Also tables as datasets of Hugging Face have them (`image` with `bytes`), and
    lists of addresses alone, such as LAION's (`URL`, `TEXT`), from which links are made.
`00000.parquet` beside `00000.tar` or `00000/` describes these and is not read again.

The caption is the `.txt`, else the `caption` of the `.json`; a key of the JSON can be named instead.

Tars must not be compressed: images are read from where they stand in them. In a `.tar.gz` that takes unpacking all that
comes before, for each image anew; unpacking each tar to a temporary place would need the disk for a second copy of the
corpus on every worker. JPEG does not get smaller by gzip, so nothing speaks for keeping it.
"""

import dataclasses
import stat
from collections.abc import Iterator
from pathlib import PurePosixPath

from etils import epath

from data_pipelines.containers import shard_lists, tar_index
from data_pipelines.containers.damage import Damaged
from data_pipelines.formats import captioned, pair_tables, samples
from data_pipelines.formats.samples import File
from data_pipelines.output import BuildError
from data_pipelines.pipeline.sketch import SPAN, Drop, Reference, Sketch

_UNIT = "pair"


@dataclasses.dataclass(frozen=True)
class WebDatasetConfig:
    """How captioned images and clips are read."""

    caption_key: str = dataclasses.field(
        default="",
        metadata={
            "help": "key of the .json, or column, with the caption; empty: the .txt, else 'caption' of the .json"
        },
    )


def shards(root: str, config: WebDatasetConfig) -> list[str]:
    """The tars, the folders with images or clips, and the tables under `root`, sorted (see `shard_lists`).

    Raises:
      BuildError: there is none, or a tar is compressed.
    """
    base, names = shard_lists.files(root)
    shard_lists.refuse_compressed_tars(root, names)
    tars = {name for name in names if name.lower().endswith(".tar")}
    media = (name for name in names if captioned.kind(samples.split(name)[1]))
    folders = {parent if (parent := str(PurePosixPath(name).parent)) != "." else "" for name in media}
    tables = {name for name in names if name.lower().endswith(".parquet")}
    described = {name.rpartition(".")[0] for name in tars} | folders
    found = tars | folders | {name for name in tables if name.rpartition(".")[0] not in described}
    if not found:
        raise BuildError(f"--input {root} has no .tar, no .parquet and no folder with images or clips")
    return [shard_lists.join(base, name) for name in sorted(found)]


def read(shard: str, config: WebDatasetConfig) -> Iterator[Sketch | Drop]:
    """The pairs of one shard; keys are `<shard's name>/<sample's name>`, or `<shard's name>/<row>` of a table.

    Dropped are pairs with `caption_missing`, `caption_null`, `caption_not_a_string`, `caption_empty`,
    `caption_undecodable` (not UTF-8), `caption_too_many_bytes`, `image_missing`, `image_empty` (no bytes),
    `key_repeated` (in its shard), `member_not_a_file`, `member_sparse`, `image_not_on_the_web`; images and clips with
    `medium_beside_another` (a sample's second); and what `tar_index.members` and `parquet_rows.read` find wrong with
    shards.
    """
    path, name = shard_lists.split(shard)
    if path.lower().endswith(".parquet"):
        yield from pair_tables.read(path, name, config.caption_key)
    elif path.lower().endswith(".tar"):
        yield from _read_tar(path, name, config)
    else:
        yield from _read_folder(path, name, config)


def _read_tar(path: str, name: str, config: WebDatasetConfig) -> Iterator[Sketch | Drop]:
    with epath.Path(path).open("rb") as tar:

        def fetch(file: File) -> bytes:
            tar.seek(file.reference.offset)
            return tar.read(file.length)

        files = (
            File(member.name, Reference(path, SPAN, member.offset, member.length), member.length, member.rule)
            for member in tar_index.members(tar)
        )
        try:
            yield from captioned.pairs(samples.group(files), f"{name}/", fetch, config.caption_key)
        except Damaged as error:
            yield Drop(error.rule, _UNIT, f"{path}: {error}")


def _read_folder(path: str, name: str, config: WebDatasetConfig) -> Iterator[Sketch | Drop]:
    folder = epath.Path(path)
    # By sample first: `a-b.jpg` would part `a.jpg` from `a.txt`.
    names = sorted((entry.name for entry in folder.iterdir()), key=lambda entry: (samples.split(entry)[0], entry))
    files = (_file(folder, entry) for entry in names if samples.split(entry)[1])
    prefix = f"{name}/" if name else ""
    yield from captioned.pairs(
        samples.group(files), prefix, lambda file: epath.Path(file.reference.path).read_bytes(), config.caption_key
    )


def _file(folder: epath.Path, name: str) -> File:
    path = folder / name
    try:
        status = path.stat()
    except FileNotFoundError:  # a link to nothing
        return File(name, Reference(str(path)), 0, "member_not_a_file")
    is_file = not status.is_directory and (status.mode is None or stat.S_ISREG(status.mode))  # buckets have no modes
    return File(name, Reference(str(path)), status.length, "" if is_file else "member_not_a_file")
