"""Writes torch's zip format without torch, tensor by tensor: a flat state dict that `torch.load` reads in safe mode.

The file is a zip of a pickle, which is written here opcode by opcode, and one stored member for each tensor.
"""

import math
import zipfile
from collections.abc import Callable, Iterable, Mapping

import ml_dtypes
import numpy as np
from etils import epath

from flamingo_jax.interop.files.output_folder import sync
from flamingo_jax.interop.files.pieces import raw
from flamingo_jax.interop.files.tensors import TensorSpec

_STORAGES = {
    np.dtype(np.float64): "DoubleStorage",
    np.dtype(np.float32): "FloatStorage",
    np.dtype(np.float16): "HalfStorage",
    np.dtype(ml_dtypes.bfloat16): "BFloat16Storage",
    np.dtype(np.int64): "LongStorage",
    np.dtype(np.int32): "IntStorage",
    np.dtype(np.int16): "ShortStorage",
    np.dtype(np.int8): "CharStorage",
    np.dtype(np.uint8): "ByteStorage",
    np.dtype(np.bool_): "BoolStorage",
}
_ALIGNMENT = 64  # of each member's data in the file, as torch does it, so that readers may map it


def write_torch(
    path: epath.Path,
    specs: Mapping[str, TensorSpec],
    read: Callable[[str], np.ndarray],
    *,
    wrote: Callable[[int], None] = lambda count: None,
) -> None:
    """Writes a state dict of contiguous tensors on the CPU.

    Args:
      path: the file.
      specs: shape and stored type of each tensor; the order is kept.
      read: gives a tensor by name, of the spec's shape; it is cast to the spec's type. Called once for each, in order.
      wrote: told of bytes as they are written.
    """
    root = path.stem
    with path.open("wb") as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
            _add(archive, f"{root}/data.pkl", [_pickle(specs)])
            _add(archive, f"{root}/byteorder", [b"little"])
            for index, (name, spec) in enumerate(specs.items()):
                array = read(name)
                if array.shape != spec.shape:
                    raise ValueError(f"{name} was announced with shape {spec.shape} and came with {array.shape}")
                _add(archive, f"{root}/data/{index}", _told(raw(array, spec.dtype, name), wrote), spec.nbytes)
                del array
            _add(archive, f"{root}/version", [b"3\n"])
        sync(file)


def _told(data: Iterable[np.ndarray], wrote: Callable[[int], None]) -> Iterable[np.ndarray]:
    for piece in data:
        yield piece
        wrote(len(piece))


def _add(archive: zipfile.ZipFile, name: str, data: Iterable[bytes | np.ndarray], size: int = 0) -> None:
    """Adds a member whose data begins at a multiple of 64 bytes, by means of an extra field of zeros."""
    info = zipfile.ZipInfo(name)  # dated 1980: the same weights make the same file
    zip64 = 20  # bytes of the extra field that zipfile adds to a local header that it is told may need 64 bits
    begin = archive.fp.tell() + 30 + len(name.encode()) + zip64 + 4
    padding = -begin % _ALIGNMENT
    info.extra = b"FB" + padding.to_bytes(2, "little") + b"\0" * padding
    info.file_size = size
    with archive.open(info, "w", force_zip64=True) as member:
        for piece in data:
            member.write(piece)


def _pickle(specs: Mapping[str, TensorSpec]) -> bytes:
    """The pickle of `{name: tensor}`, in protocol 2, of nothing but the opcodes that torch's safe mode takes."""
    parts = [b"\x80\x02}("]
    for index, (name, spec) in enumerate(specs.items()):
        count = math.prod(spec.shape)
        storage = _global("torch", _STORAGES[spec.dtype])
        reference = b"(" + _value("storage") + storage + _value(str(index)) + _value("cpu") + _value(count) + b"tQ"
        strides = tuple(math.prod(spec.shape[axis + 1 :]) for axis in range(len(spec.shape)))
        arguments = _value(0) + _value(spec.shape) + _value(strides) + _value(False)
        hooks = _global("collections", "OrderedDict") + b")R"
        rebuild = _global("torch._utils", "_rebuild_tensor_v2")
        parts.append(_value(name) + rebuild + b"(" + reference + arguments + hooks + b"tR")
    return b"".join([*parts, b"u."])


def _global(module: str, name: str) -> bytes:
    return b"c" + f"{module}\n{name}\n".encode()


def _value(value: bool | int | str | tuple[int, ...]) -> bytes:
    """The opcodes that push a plain value."""
    if isinstance(value, bool):
        return b"\x88" if value else b"\x89"
    if isinstance(value, int):
        if value < 1 << 31:
            return b"J" + value.to_bytes(4, "little", signed=True)
        digits = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
        return b"\x8a" + bytes([len(digits)]) + digits
    if isinstance(value, str):
        text = value.encode()
        return b"X" + len(text).to_bytes(4, "little") + text
    return b"(" + b"".join(map(_value, value)) + b"t"
