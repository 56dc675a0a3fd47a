"""Files of named tensors: one lazy interface over every format that weights come in."""

import abc
import difflib
import importlib
import math
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, Self

import numpy as np
from etils import epath


class WeightsError(ValueError):
    """A weight file is missing, unreadable or unsafe, or lacks what is asked of it; the message says which and why."""


class TensorSpec(NamedTuple):
    """Shape (row-major, outermost first) and element type of a tensor, as reading it returns it."""

    shape: tuple[int, ...]
    dtype: np.dtype

    @property
    def nbytes(self) -> int:
        """Length in bytes."""
        return math.prod(self.shape) * self.dtype.itemsize


class TensorFile(Mapping[str, np.ndarray], abc.ABC):
    """The tensors of one file (or of one set of shards) by name, read one by one when asked for.

    `file[name]` is a fresh C-contiguous array: nothing of it is kept here, and it stays valid after the file is closed.
    Opening a file reads its index and checks that the data it points to is there; it reads no tensor.

    Attributes:
      path: the file.
      metadata: what the file says beside its tensors, as plain Python values.
    """

    path: epath.Path
    metadata: dict[str, Any]

    def __init__(self, path: epath.Path, specs: Mapping[str, TensorSpec], metadata: Mapping[str, Any]):
        self.path = path
        self.metadata = dict(metadata)
        self._specs = dict(specs)
        self._open = True

    @abc.abstractmethod
    def _read(self, name: str) -> np.ndarray:
        """Reads the tensor called `name`, which is known to exist."""

    def _release(self) -> None:
        """Lets go of what the format holds open; called once."""

    def spec(self, name: str) -> TensorSpec:
        """Shape and type of `file[name]`, without reading it. Raises KeyError where there is no such tensor."""
        try:
            return self._specs[name]
        except KeyError:
            close = difflib.get_close_matches(name, self._specs, n=3)
            hint = f"; closest: {', '.join(close)}" if close else ""
            raise KeyError(f"{self.path} has no tensor {name!r} among its {len(self)}{hint}") from None

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of `file[name]`, without reading it. Raises KeyError where there is no such tensor."""
        return self.spec(name).shape

    def dtype(self, name: str) -> np.dtype:
        """The element type of `file[name]`, without reading it. Raises KeyError where there is no such tensor."""
        return self.spec(name).dtype

    def __getitem__(self, name: str) -> np.ndarray:
        """Reads one tensor.

        Raises:
          KeyError: there is no such tensor; the message names the closest ones.
          WeightsError: the file is closed, or the tensor cannot be decoded.
        """
        self.spec(name)
        if not self._open:
            raise WeightsError(f"{self.path} is closed: read tensors inside its `with` block")
        return self._read(name)

    def __contains__(self, name: object) -> bool:
        return name in self._specs

    def __iter__(self) -> Iterator[str]:
        return iter(self._specs)

    def __len__(self) -> int:
        return len(self._specs)

    def close(self) -> None:
        """Closes the file; arrays read before stay valid. May be called again."""
        if self._open:
            self._open = False
            self._release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.path)!r}, {len(self)} tensors)"


_MAGIC_LENGTH = 32
# The number that opens torch's stream format, as protocol 2 and later pickle it (little-endian, 10 bytes).
_TORCH_STREAM_MAGIC = bytes.fromhex("6cfc9c46f9206aa85019")
# ONNX has no magic number: a message that begins with its version, a small number, and another field of a model.
_ONNX_HEAD = re.compile(rb"\x08[\x01-\x3f][\x12\x1a\x22\x28\x32\x3a\x42\x72]")


def open_tensors(path: str | os.PathLike[str]) -> TensorFile:
    """Opens a weight file of any known format, told by its first bytes, not by its name.

    Known are GGUF, safetensors, torch's zip and stream formats, pickles of Haiku parameters (the public NFNets), ONNX,
    and the JSON index of a sharded checkpoint (`model.safetensors.index.json`, `pytorch_model.bin.index.json`), whose
    shards appear as one file.

    Args:
      path: a local file, or one of an object store (`gs://...`), which is first copied to the temporary folder.

    Raises:
      WeightsError: the file is missing, empty, of no known format, truncated, corrupt, or would run code when read.
    """
    path = epath.Path(path)
    try:
        with path.open("rb") as file:
            head = file.read(_MAGIC_LENGTH)
    except FileNotFoundError:
        raise WeightsError(f"{path}: no such weight file; check the path") from None
    except IsADirectoryError:
        raise WeightsError(
            f"{path} is a folder; name the weight file in it, or its .index.json if it has shards"
        ) from None
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror or error}") from error
    if not head:
        raise WeightsError(f"{path} is empty; fetch it again")
    module, name = _reader(path, head)
    # Imported here: the readers import this module, and none of them should load for another's format.
    reader = getattr(importlib.import_module(f"flamingo_jax.interop.files.{module}"), name)
    if "://" not in os.fspath(path) or name == "ShardedFile":
        return reader(path)
    # The readers keep files open. An open file outlives its name, so the copy is gone when its reader is.
    with tempfile.TemporaryDirectory() as folder:
        copy = epath.Path(folder) / path.name
        with path.open("rb") as source, copy.open("wb") as target:
            shutil.copyfileobj(source, target)
        try:
            file = reader(copy)
        except WeightsError as error:
            raise WeightsError(str(error).replace(os.fspath(copy), os.fspath(path))) from error
        file.path = path
        return file


def _reader(path: epath.Path, head: bytes) -> tuple[str, str]:
    """The module and class that read the format."""
    if head.startswith(b"GGUF"):
        return "gguf", "GgufFile"
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return "torch_files", "TorchZipFile"
    if _TORCH_STREAM_MAGIC in head:
        return "torch_files", "TorchStreamFile"
    if head[8:9] == b"{":  # after the header's length in 8 bytes
        return "safetensors", "SafetensorsFile"
    if head.startswith((b"\x80\x03", b"\x80\x04", b"\x80\x05")):  # a pickle, by its protocol
        return "haiku_pickle", "HaikuPickleFile"
    if _ONNX_HEAD.match(head):
        return "onnx_file", "OnnxFile"
    if head.lstrip().startswith(b"{"):
        return "sharded", "ShardedFile"
    raise WeightsError(
        f"{path} is no weight file of a known format (GGUF, safetensors, torch, Haiku, ONNX, or an index of shards): "
        f"it begins with {head[:8]!r}"
    )
