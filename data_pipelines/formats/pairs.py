"""A folder of images with a caption beside each: the caption of `a/b.png` is the first line of `a/b.txt`."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from data_pipelines import inputs, output
from data_pipelines.m3w import encoding
from data_pipelines.pipeline.sketch import Drop, Medium, Reference, Sketch
from flamingo_jax.data.document import Text

_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif")


@dataclasses.dataclass(frozen=True)
class CaptionedFile:
    """One image of the folder: `name` is its path below `root`."""

    root: str
    name: str


def caption(encoded: bytes) -> str | None:
    """The first line of a caption file with its white space normalised ("" if blank), or None if it is not text."""
    text = encoding.decode(encoded)
    return None if text is None else " ".join(text.strip("\ufeff").partition("\n")[0].split())


def shards(root: str, config: None = None) -> list[CaptionedFile]:
    """The images below `root`.

    Raises:
      BuildError: there is none.
    """
    del config
    images = [name for name in inputs.list_files(Path(root)) if name.lower().endswith(_SUFFIXES)]
    if not images:
        raise output.BuildError(f"--input {root} has no image: no file ends in {', '.join(_SUFFIXES)}")
    return [CaptionedFile(root, name) for name in images]


def read(shard: CaptionedFile, config: None = None) -> Iterator[Sketch | Drop]:
    """The one pair of an image."""
    del config
    root, name = Path(shard.root), shard.name
    if name != name.encode(errors="replace").decode():
        yield Drop("file_name_undecodable", "pair", name.encode(errors="backslashreplace").decode())
        return
    image, text_file = root / name, root / PurePosixPath(name).with_suffix(".txt")
    if not text_file.is_file():
        yield Drop("caption_missing", "pair", name)
        return
    if not (inputs.is_inside(root, image) and inputs.is_inside(root, text_file)):
        yield Drop("outside_input", "pair", name)
        return
    try:
        text = caption(text_file.read_bytes())
    except (FileNotFoundError, PermissionError):
        yield Drop("unreadable", "pair", name)
        return
    if text:
        yield Sketch(name, (Medium("image", name, Reference(str(image))), Text(text)))
    else:
        yield Drop("caption_empty" if text == "" else "caption_undecodable", "pair", name)
