"""torch's file formats, read without torch: the zip of today and the stream of before version 1.6 (2020)."""

import abc
import sys
import zipfile
from typing import Any, BinaryIO

import numpy as np
from etils import epath

from flamingo_jax.interop.files.positional import PositionalFile
from flamingo_jax.interop.files.tensors import TensorFile, TensorSpec, WeightsError
from flamingo_jax.interop.files.torch_pickle import Storage, StridedTensor, load_pickle

_STREAM_PROTOCOL = 1001  # the only version of the stream format that torch ever read back
_MOST_LEAVES = 1_000_000  # far more than any model has; a pickle of shared dicts could otherwise unfold without end
_DEEPEST = 64
_OTHER_BYTE_ORDER = "{path} has another byte order than this machine; save it again on a little-endian one"


class _TorchFile(TensorFile):
    """What both formats share: an object tree with tensors for leaves, and raw storages somewhere in the file.

    Names are the keys from the root to the tensor joined by ".": a plain state dict keeps its own names, and
    `{"state_dict": {"a.weight": tensor}}` gives "state_dict.a.weight". Positions in lists and tuples count as keys. A
    bare tensor has the empty name. What is no tensor goes to `metadata` under such names.
    """

    def __init__(self, path: epath.Path):
        """Reads the tree of `path`; raises WeightsError where it is truncated, corrupt or would run code."""
        self.path = path
        # Storage key -> its first byte in the file, and its length in bytes.
        self._spans: dict[str, tuple[int, int]] = {}
        self._file = PositionalFile(path)
        try:
            with path.open("rb") as file:
                leaves = _flatten(path, self._load(file))
            self._tensors = {name: leaf for name, leaf in leaves.items() if isinstance(leaf, StridedTensor)}
            for name, tensor in self._tensors.items():
                self._check(name, tensor.storage)
        except BaseException:
            self._file.close()
            raise
        specs = {name: TensorSpec(tensor.shape, tensor.dtype) for name, tensor in self._tensors.items()}
        super().__init__(path, specs, {name: leaf for name, leaf in leaves.items() if name not in specs})

    @abc.abstractmethod
    def _load(self, file: BinaryIO) -> Any:
        """Returns the object tree, and notes in `_spans` where each storage lies."""

    def _check(self, name: str, storage: Storage) -> None:
        start, size = self._spans.get(storage.key, (0, -1))
        if (storage.offset + storage.length) * storage.dtype.itemsize > size or start + size > self._file.size:
            raise WeightsError(
                f"{self.path} is truncated or corrupt: the data of {name} is not all there; fetch it again"
            )

    def _read(self, name: str) -> np.ndarray:
        tensor = self._tensors[name]
        start = self._spans[tensor.storage.key][0] + tensor.storage.offset * tensor.storage.dtype.itemsize
        width = tensor.dtype.itemsize
        # From the tensor's first element to its last: a view may be of a small part of its storage.
        sides = zip(tensor.shape, tensor.strides, strict=True)
        count = 0 if 0 in tensor.shape else 1 + sum((size - 1) * stride for size, stride in sides)
        try:
            data = self._file.read(start + tensor.offset * width, count * width)
            strides = [stride * width for stride in tensor.strides]
            return np.require(np.ndarray(tensor.shape, tensor.dtype, data, 0, strides), requirements="C")
        except WeightsError:
            raise
        except (ValueError, TypeError, OverflowError, MemoryError) as error:
            raise WeightsError(f"{self.path}: {name} of shape {tensor.shape} cannot be read ({error})") from error

    def _release(self) -> None:
        self._file.close()


class TorchZipFile(_TorchFile):
    """A file of `torch.save`: a zip of one pickle and one member per storage. Storages are read when asked for."""

    def _load(self, file: BinaryIO) -> Any:
        try:
            archive = zipfile.ZipFile(file)
        except Exception as error:  # a damaged directory surfaces as UnicodeDecodeError, NotImplementedError, ... too
            raise WeightsError(f"{self.path} is a truncated or corrupt zip ({error}); fetch it again") from error
        members = {info.filename: info for info in archive.infolist()}
        pickles = [name for name in members if name.count("/") == 1 and name.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise WeightsError(f"{self.path} is a zip, but not one of torch.save: it has no data.pkl in it")
        root = pickles[0].removesuffix("data.pkl")
        if f"{root}constants.pkl" in members:
            raise WeightsError(
                f"{self.path} is a TorchScript program, not a file of weights; save its state_dict() with torch"
            )
        if (info := members.get(f"{root}byteorder")) and self._bytes(info) != sys.byteorder.encode():
            raise WeightsError(_OTHER_BYTE_ORDER.format(path=self.path))
        prefix = f"{root}data/"
        self._spans = {
            name.removeprefix(prefix): self._span(info) for name, info in members.items() if name.startswith(prefix)
        }
        file.seek(self._span(members[pickles[0]])[0])
        return load_pickle(file, self.path)[0]

    def _span(self, info: zipfile.ZipInfo) -> tuple[int, int]:
        """First byte and length of a member's content, past its local header (whose extra field pads to 64 bytes)."""
        if info.compress_type != zipfile.ZIP_STORED:
            raise WeightsError(
                f"{self.path} was compressed after torch wrote it ({info.filename}); zip it again without (zip -0)"
            )
        header = b""
        if info.header_offset + 30 <= self._file.size:
            header = self._file.read(info.header_offset, 30).tobytes()
        if header[:4] != b"PK\x03\x04":
            raise WeightsError(
                f"{self.path} is a corrupt zip: no member where {info.filename} should be; fetch it again"
            )
        start = (
            info.header_offset + 30 + int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
        )
        return start, info.file_size

    def _bytes(self, info: zipfile.ZipInfo) -> bytes:
        start, size = self._span(info)
        if start + size > self._file.size:
            raise WeightsError(f"{self.path} is truncated: it ends within {info.filename}; fetch it again")
        return self._file.read(start, size).tobytes()


class TorchStreamFile(_TorchFile):
    """A file of `torch.save(..., _use_new_zipfile_serialization=False)`: pickles, then storages, back to back."""

    def _load(self, file: BinaryIO) -> Any:
        load_pickle(file, self.path)  # the magic number, by which the file was told
        protocol, machine = load_pickle(file, self.path)[0], load_pickle(file, self.path)[0]
        if protocol != _STREAM_PROTOCOL:
            raise WeightsError(
                f"{self.path} has version {protocol!r} of torch's stream format; known: {_STREAM_PROTOCOL}"
            )
        if not isinstance(machine, dict) or machine.get("little_endian") is not (sys.byteorder == "little"):
            raise WeightsError(_OTHER_BYTE_ORDER.format(path=self.path))
        tree, widths = load_pickle(file, self.path)
        keys, _ = load_pickle(file, self.path)
        if not isinstance(keys, list) or not all(key in widths for key in keys):
            raise WeightsError(f"{self.path} is a corrupt torch file (its list of storages); fetch it again")
        position = file.tell()
        for key in keys:
            # Each storage follows its number of elements, in 8 bytes.
            if position + 8 > self._file.size:
                raise WeightsError(f"{self.path} is truncated: its storages are not all there; fetch it again")
            file.seek(position)
            size = int.from_bytes(file.read(8), "little") * widths[key]
            self._spans[key] = (position + 8, size)
            position += 8 + size
        return tree


def _flatten(path: epath.Path, tree: Any) -> dict[str, Any]:
    """The leaves of `tree` by name; what is no dict, list or tuple, or is an empty one, is a leaf."""
    leaves: dict[str, Any] = {}

    def visit(node: Any, name: str, above: tuple[int, ...]) -> None:
        if isinstance(node, Storage):
            raise WeightsError(f"{path}: {name!r} is a bare storage; save tensors")
        if isinstance(node, StridedTensor) or not isinstance(node, dict | list | tuple) or not node:
            if name in leaves:
                raise WeightsError(f"{path} holds {name!r} twice, once flat and once nested; save one of them")
            if len(leaves) == _MOST_LEAVES:
                raise WeightsError(f"{path} holds more than {_MOST_LEAVES:,} entries; it is no file of weights")
            leaves[name] = node
            return
        if id(node) in above or len(above) == _DEEPEST:
            raise WeightsError(f"{path}: {name!r} contains itself or is nested too deep to be a file of weights")
        # dict's own method: a pickle may set attributes on an OrderedDict, `items` among them.
        for key, child in dict.items(node) if isinstance(node, dict) else enumerate(node):
            visit(child, f"{name}.{key}" if above else str(key), (*above, id(node)))

    visit(tree, "", ())
    return leaves
