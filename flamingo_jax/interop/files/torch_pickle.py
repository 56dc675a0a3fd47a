"""The pickles inside torch files, read without torch and without running anything that they ask for.

A pickle is a program: it may call any function that it can name. The unpickler here knows the few names that a file of
dense tensors needs, each as a harmless stand-in of its own, and refuses the file at any other.
"""

from collections.abc import Callable
from typing import Any, BinaryIO, NamedTuple

import ml_dtypes
import numpy as np
from etils import epath

from flamingo_jax.interop.files.plain_pickle import PlainUnpickler, ordered_dict
from flamingo_jax.interop.files.tensors import WeightsError

# Classes of typed storages in `torch` and the elements they hold.
_STORAGES = {
    "DoubleStorage": np.float64,
    "FloatStorage": np.float32,
    "HalfStorage": np.float16,
    "BFloat16Storage": ml_dtypes.bfloat16,
    "LongStorage": np.int64,
    "IntStorage": np.int32,
    "ShortStorage": np.int16,
    "CharStorage": np.int8,
    "ByteStorage": np.uint8,
    "BoolStorage": np.bool_,
    "ComplexFloatStorage": np.complex64,
    "ComplexDoubleStorage": np.complex128,
}
# Element types that have no storage class: such a tensor names its type and points into bytes.
_DTYPES = {
    "float8_e4m3fn": ml_dtypes.float8_e4m3fn,
    "float8_e5m2": ml_dtypes.float8_e5m2,
    "uint16": np.uint16,
    "uint32": np.uint32,
    "uint64": np.uint64,
}


class Storage(NamedTuple):
    """A flat run of elements: the file's `key` for it, and the part of it that is meant, in elements."""

    key: str
    dtype: np.dtype
    offset: int
    length: int


class StridedTensor(NamedTuple):
    """A tensor as a view of a storage; `offset` and `strides` in elements of `dtype`."""

    storage: Storage
    dtype: np.dtype
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _ElementType(NamedTuple):
    """Stands for a storage class or a `torch.dtype`."""

    dtype: np.dtype


class _Rebuild(NamedTuple):
    """Stands for one of torch's functions that make a tensor. A tuple, so that no pickle can set an attribute on it."""

    make: Callable[..., StridedTensor]

    def __call__(self, *arguments: Any) -> StridedTensor:
        return self.make(*arguments)


def load_pickle(file: BinaryIO, path: epath.Path) -> tuple[Any, dict[str, int]]:
    """Reads one pickle at the position of `file` and leaves the position after it.

    Args:
      file: positioned at the pickle; `path` names it in errors.

    Returns:
      The object (plain values, lists, tuples, dicts and OrderedDicts, with a `StridedTensor` for each tensor), and the
      bytes of one element for each storage that it refers to, by key.

    Raises:
      WeightsError: the pickle is corrupt, or names anything but dense tensors, storages and ordered dicts.
    """
    try:
        unpickler = _TensorUnpickler(file, path)
        return unpickler.load(), unpickler.widths
    except WeightsError:
        raise
    except RecursionError:
        raise WeightsError(f"{path} is nested too deep to be a file of weights") from None
    # A damaged pickle surfaces as nearly any exception, from EOFError to MemoryError.
    except Exception as error:
        raise WeightsError(
            f"{path} is a truncated or corrupt torch file ({type(error).__name__}: {error}); fetch it again"
        ) from error


class _TensorUnpickler(PlainUnpickler):
    def __init__(self, file: BinaryIO, path: epath.Path):
        super().__init__(file, encoding="utf-8")
        self._path = path
        self.widths: dict[str, int] = {}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return _Rebuild(ordered_dict)
        if module in ("torch", "torch.storage") and name == "UntypedStorage":
            return _ElementType(np.dtype(np.uint8))
        if module == "torch" and (element := _STORAGES.get(name) or _DTYPES.get(name)):
            return _ElementType(np.dtype(element))
        if module == "torch._utils" and name in _REBUILD:
            return _REBUILD[name]
        raise WeightsError(
            f"{self._path} asks for {module}.{name}: a file of weights may hold dense tensors, numbers, strings, lists "
            "and dicts; nothing else is loaded or run. If you trust it, load it with torch and save its state dict"
        )

    def persistent_load(self, pid: Any) -> Storage:
        """Takes `("storage", class, key, device, length)`; a sixth, if not None, is a view: `(key, offset, length)`."""
        kind, element, key, _, length, *view = pid
        if kind != "storage" or not isinstance(element, _ElementType) or not isinstance(key, str):
            raise WeightsError(
                f"{self._path} refers to a {kind!r} that is no storage; save a plain state dict with torch"
            )
        offset = 0
        if view and view[0] is not None:
            _, offset, length = view[0]
        _check_counts(offset, length)
        self.widths.setdefault(key, element.dtype.itemsize)
        return Storage(key, element.dtype, offset, length)


def _check_counts(*values: Any) -> None:
    if not all(type(value) is int and value >= 0 for value in values):
        raise ValueError(f"expected counts, found {values!r}")


def _strided(storage: Storage, dtype: np.dtype, offset: int, shape: Any, strides: Any) -> StridedTensor:
    """Checked so that no element lies outside the storage."""
    shape, strides = tuple(shape), tuple(strides)
    _check_counts(offset, *shape, *strides)
    if not isinstance(storage, Storage) or len(shape) != len(strides):
        raise ValueError("a tensor without a storage, or with strides that do not fit its shape")
    last = offset + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
    if 0 not in shape and (last + 1) * dtype.itemsize > storage.length * storage.dtype.itemsize:
        raise ValueError("a tensor reaches beyond its storage")
    return StridedTensor(storage, dtype, offset, shape, strides)


def _rebuild_tensor(storage, offset, shape, strides) -> StridedTensor:
    return _strided(storage, storage.dtype, offset, shape, strides)


def _rebuild_tensor_v2(storage, offset, shape, strides, requires_grad, hooks, metadata=None) -> StridedTensor:
    if metadata:
        raise ValueError(
            f"a tensor with the lazy flags {metadata!r}; resolve_conj() and resolve_neg() it before saving"
        )
    return _rebuild_tensor(storage, offset, shape, strides)


def _rebuild_tensor_v3(storage, offset, shape, strides, requires_grad, hooks, dtype, metadata=None) -> StridedTensor:
    return _strided(storage, dtype.dtype, offset, shape, strides)


def _rebuild_parameter(data, requires_grad, hooks) -> StridedTensor:
    if not isinstance(data, StridedTensor):
        raise ValueError("a parameter that is no tensor")
    return data


_REBUILD = {
    "_rebuild_tensor": _Rebuild(_rebuild_tensor),
    "_rebuild_tensor_v2": _Rebuild(_rebuild_tensor_v2),
    "_rebuild_tensor_v3": _Rebuild(_rebuild_tensor_v3),
    "_rebuild_parameter": _Rebuild(_rebuild_parameter),
}
