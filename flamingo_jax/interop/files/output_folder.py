"""A folder of results that appears whole or not at all."""

import contextlib
import os
import shutil
import uuid
from collections.abc import Iterator
from typing import BinaryIO

from etils import epath

from flamingo_jax.interop.files.tensors import WeightsError


@contextlib.contextmanager
def output_folder(path: epath.Path, size: int, *, overwrite: bool = False) -> Iterator[epath.Path]:
    """Gives a folder to write into; it becomes `path` when the block ends, and vanishes if the block fails.

    On a local disk the folder has a temporary name beside `path` and is renamed at the end. An object store (`gs://`)
    has no rename: there the folder is `path` itself, so write last what says that it is complete (`config.json`).

    Args:
      path: the folder to make.
      size: bytes that will be written, about.
      overwrite: whether a folder of model files at `path` may be replaced.

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
    """A folder is replaced as a whole, so it must look like a model's."""
    if not path.exists():
        return
    if not path.is_dir():
        raise WeightsError(f"{path} is a file; the output is a folder: give another name")
    found = sorted(item.name for item in path.iterdir())
    if not found:
        return
    if not overwrite:
        raise WeightsError(f"{path} is not empty (it holds {found[0]}); give another --output, or --overwrite")
    odd = [item.name for item in path.iterdir() if item.is_dir()]
    if odd or not {"config.json", "checkpoint.pt"} & set(found):
        raise WeightsError(
            f"{path} is no folder of a model (it holds {(odd or found)[0]}): "
            "--overwrite would remove all of it; remove it yourself, or give another --output"
        )


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
    path = path.resolve()
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
