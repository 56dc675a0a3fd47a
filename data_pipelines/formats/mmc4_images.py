"""Where the images of MMC4's documents are: in a folder, or on the web."""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from etils import epath

from data_pipelines import addresses, inputs
from data_pipelines.containers import text_values
from data_pipelines.output import BuildError
from data_pipelines.pipeline.sketch import Link, Medium, Reference


def folders(root: str, shard: str) -> list[epath.Path]:
    """The folders that may hold the images of a shard.

    MMC4's `download_images.py` puts them into `<name of the shard>_images`, or where it is told to: so the folder
    itself is looked into first, then those below it that are called after the shard.

    Args:
      root: the folder of all images; "" for none.
      shard: the shard's name.

    Raises:
      BuildError: there is no such folder.
    """
    if not root:
        return []
    folder = epath.Path(root)
    if not folder.is_dir():
        raise BuildError(f"images_folder {root} is no folder")
    file = PurePosixPath(shard).name
    stems = dict.fromkeys(file.split(".jsonl")[0] + ending for ending in ("_images", ".jsonl_images", ""))
    return [folder, *(below for stem in stems if stem and (below := folder / stem).is_dir())]


def locate(info: dict[str, Any], folders: Sequence[epath.Path]) -> Medium | Link | str:
    """The image of an entry of `image_info`, or the rule that drops it.

    Args:
      info: the entry.
      folders: what `folders` gave. Without any the image is a link to `raw_url`.

    Returns:
      A medium, a link, or `image_missing`, `image_outside_input` (a name that leads out of the folder, which is never
      followed), `image_not_on_the_web` (no address).
    """
    if not folders:
        url = info.get("raw_url")
        address = addresses.absolute("", None, url) if isinstance(url, str) else ""
        return Link("image", (address,)) if address else "image_not_on_the_web"
    name = info.get("image_name")
    if not isinstance(name, str) or not name or "\0" in name:
        return "image_missing"
    if name.startswith("/") or "\\" in name or ".." in PurePosixPath(name).parts:
        return "image_outside_input"
    for folder in folders:
        rule, file = _check(folder, folder / name)
        if rule != "image_missing":
            return rule or Medium("image", source(info), Reference(str(file)))
    return "image_missing"


def source(info: Any) -> str:
    """What an image is known by: its address, or else its name."""
    values = [info.get(name) for name in ("raw_url", "image_name")] if isinstance(info, dict) else []
    return next((text for value in values if (text := text_values.check(value, "")[0])), "an image without a name")


def _check(folder: epath.Path, file: epath.Path) -> tuple[str, epath.Path]:
    try:
        if not file.is_file():
            return "image_missing", file
        inside = "://" in str(folder) or inputs.is_inside(Path(folder), Path(file))
    except (OSError, ValueError):  # a name that no file can have: too long, or with lone surrogates
        return "image_missing", file
    return "" if inside else "image_outside_input", file
