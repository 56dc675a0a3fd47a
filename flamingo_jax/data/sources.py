"""Stored datasets as random-access sequences of documents."""

import re
import threading
from typing import Any, Protocol

from etils import epath

from flamingo_jax.data.document import Document
from flamingo_jax.data.errors import RecordError, SourceError

_VERSION = re.compile(r"\d+\.\d+\.\d+")


class Source(Protocol):
    """Anything of known length that gives a document by index: `TfdsSource`, or a list of documents."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Document: ...


class TfdsSource:
    """One split of a TFDS dataset in ArrayRecord format. Safe to share by threads; reopens its files after pickling."""

    def __init__(self, path: epath.PathLike, split: str):
        """
        Args:
          path: the dataset's folder of versions (the newest is read) or the folder of one version; may be `gs://`.
          split: a split's name, or a slice of one as TFDS writes it ("train[:90%]").

        Raises:
          SourceError: there is no such dataset, it is half-built, or it has no such split or no record in it.
        """
        self.path, self.split = version_folder(path), split
        self._lock = threading.Lock()
        self._records: Any = None
        self._features: Any = None
        self._length = len(self._open()[0])

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "split": self.split, "_length": self._length}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _lock=threading.Lock(), _records=None, _features=None)

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> Document:
        """The document at `index`.

        Raises:
          RecordError: the record is damaged, or is not a document.
          SourceError: its file cannot be read.
        """
        if not 0 <= index < self._length:
            raise IndexError(f"{self}: record {index} of {self._length}")
        records, features = self._open()
        try:
            raw = records[index]
        except Exception as error:  # array_record raises RuntimeError for damage and for unreadable files alike.
            if "Corrupted" in str(error):
                raise RecordError(f"{self}: record {index} is damaged: {error}") from error
            raise SourceError(f"{self}: record {index} cannot be read: {error}") from error
        if not raw:
            raise SourceError(f"{self}: record {index} cannot be read: the file ends before it; is the copy complete?")
        try:
            return Document.from_record(features.deserialize_example_np(raw))
        except Exception as error:  # protobuf, TFDS and Document each raise their own kind.
            raise RecordError(f"{self}: record {index} is not a document: {error}") from error

    def __str__(self) -> str:
        return f"{self.path} ({self.split})"

    def _open(self) -> tuple[Any, Any]:
        with self._lock:
            if self._records is None:
                self._records, self._features = _open_split(self.path, self.split)
            return self._records, self._features


def version_folder(path: epath.PathLike) -> epath.Path:
    """The folder of the newest version of the dataset at `path`, or `path` itself if it is the folder of a version.

    Raises:
      SourceError: there is no complete dataset.
    """
    folder = epath.Path(path).expanduser()
    if (folder / "dataset_info.json").exists():
        return folder
    if not folder.is_dir():
        raise SourceError(
            f"{folder}: no such dataset; build it first (python -m data_pipelines...), or correct the path"
        )
    built = [child for child in folder.iterdir() if _VERSION.fullmatch(child.name)]
    built = [child for child in built if (child / "dataset_info.json").exists()]
    if not built:
        inside = ", ".join(sorted(child.name for child in folder.iterdir())) or "nothing"
        raise SourceError(
            f"{folder}: no complete dataset here (a folder such as 1.0.0 with a dataset_info.json; found: {inside});"
            " was its build interrupted? Run it again, or correct the path"
        )
    return max(built, key=lambda child: tuple(map(int, child.name.split("."))))


def open_source(path: epath.PathLike, split: str) -> TfdsSource:
    """`TfdsSource(path, split)`: the documents of one split of a stored dataset."""
    return TfdsSource(path, split)


def _open_split(path: epath.Path, split: str) -> tuple[Any, Any]:
    import tensorflow_datasets as tfds  # Slow to import, and of no use to those who bring documents of their own.

    try:
        builder = tfds.builder_from_directory(path)
    except Exception as error:
        raise SourceError(f"{path}: not a readable TFDS dataset: {error}") from error
    missing = [name for name in ("key", "kinds", "payloads", "sources") if name not in (builder.info.features or {})]
    if missing:
        raise SourceError(f"{path}: not a dataset of documents: its records have no {', '.join(missing)}")
    try:
        records = builder.as_data_source(split, deserialize_method=tfds.decode.DeserializeMethod.RAW_BYTES)
    except Exception as error:
        known = ", ".join(builder.info.splits)
        raise SourceError(f"{path}: cannot open split {split!r} (splits: {known}): {error}") from error
    return records, builder.info.features
