"""A folder of results that appears whole or not at all."""

import contextlib
import os
import re
import shutil
import uuid
from collections.abc import Iterator
from typing import BinaryIO

from etils import epath

from flamingo_jax.interop.files.tensors import WeightsError

WRITTEN = (
    "checkpoint.pt",
    "config.json",
    "model.gin",
    "model.safetensors.index.json",
    # of tokenizers and processors
    "added_tokens.json",
    "chat_template.jinja",
    "generation_config.json",
    "merges.txt",
    "preprocessor_config.json",
    "processor_config.json",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "vocab.json",
)
"""What a conversion writes, beside `model.safetensors` or its shards: a folder of nothing else may be replaced."""
_WEIGHTS = re.compile(r"model(-\d{5,}-of-\d{5,})?\.safetensors")


@contextlib.contextmanager
def output_folder(path: epath.Path, size: int, *, overwrite: bool = False) -> Iterator[epath.Path]:
    """Gives a folder to write into; it becomes `path` when the block ends, and vanishes if the block fails.

    On a local disk the folder has a temporary name beside `path` and is renamed at the end. An object store (`gs://`)
    has no rename: there the folder is `path` itself, so write last what says that it is complete (`config.json`).

    Args:
      path: the folder to make.
      size: bytes that will be written, about.
      overwrite: whether a folder at `path` that holds only what a conversion writes may be replaced.

    Raises:
      WeightsError: `path` exists and may not be replaced, or it cannot be written, as on a full disk.
    """
    _check(path, overwrite)
    try:
        if "://" in os.fspath(path):
            with _in_place(path) as folder:
                yield folder
        else:
            with _renamed(path, size) as folder:
                yield folder
    except OSError as error:
        raise WeightsError(
            f"could not write {path}: {error.strerror or error}. Nothing was left behind; "
            f"the output takes {size / 1e9:.1f} GB"
        ) from error


def sync(file: BinaryIO) -> None:
    """Has the system put a local file on its disk: a rename may otherwise reach it before the bytes do."""
    file.flush()
    try:
        descriptor = file.fileno()
    except (AttributeError, OSError):
        return  # an object store's
    os.fsync(descriptor)


def _check(path: epath.Path, overwrite: bool) -> None:
    """A folder is replaced as a whole, so nothing may be in it but what a conversion writes."""
    if not path.exists():
        return
    if not path.is_dir():
        raise WeightsError(f"{path} is a file; the output is a folder: give another name")
    items = sorted(path.iterdir(), key=lambda item: item.name)
    found = [item.name for item in items]
    if not found:
        return
    if not overwrite:
        raise WeightsError(f"{path} is not empty (it holds {found[0]}); give another --output, or --overwrite")
    foreign = [item.name for item in items if item.is_dir() or not _is_written(item.name)]
    if foreign or not {"config.json", "checkpoint.pt"} & set(found):
        what = f"it holds {foreign[0]}" if foreign else "it has neither config.json nor checkpoint.pt"
        raise WeightsError(
            f"{path} is no folder that a conversion wrote ({what}): "
            "--overwrite would remove all of it; remove it yourself, or give another --output"
        )


def _is_written(name: str) -> bool:
    return name in WRITTEN or _WEIGHTS.fullmatch(name) is not None


@contextlib.contextmanager
def _in_place(path: epath.Path) -> Iterator[epath.Path]:
    if path.exists():
        path.rmtree()
    path.mkdir(parents=True, exist_ok=True)
    try:
        yield path
    except BaseException:
        path.rmtree(missing_ok=True)
        raise


@contextlib.contextmanager
def _renamed(path: epath.Path, size: int) -> Iterator[epath.Path]:
    path = epath.Path(os.path.realpath(path))  # where a link points to: a link cannot be replaced as a folder is
    made = [parent for parent in path.parents if not parent.exists()]
    path.parent.mkdir(parents=True, exist_ok=True)
    mark = uuid.uuid4().hex[:8]
    partial, old = (path.parent / f".{path.name}.{kind}-{mark}" for kind in ("partial", "old"))
    try:
        free = shutil.disk_usage(path.parent).free
        if free < size:
            raise WeightsError(f"{path} takes {size / 1e9:.1f} GB, and only {free / 1e9:.1f} GB are free there")
        partial.mkdir()
        yield partial
        _sync(partial)
        try:
            if path.exists():
                path.rename(old)
            partial.rename(path)
        except BaseException:
            if old.exists() and not path.exists():
                old.rename(path)
            raise
    except BaseException:
        partial.rmtree(missing_ok=True)
        with contextlib.suppress(OSError):  # another program may have put something there
            for parent in made:
                parent.rmdir()
        raise
    try:
        old.rmtree(missing_ok=True)
    except KeyboardInterrupt:
        old.rmtree(missing_ok=True)
        raise
    with contextlib.suppress(OSError):  # some file systems have no such thing
        _sync(path.parent)


def _sync(folder: epath.Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
