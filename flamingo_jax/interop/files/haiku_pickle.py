"""Pickles of Haiku parameters, read without Haiku and without running anything that they ask for.

The public NFNet weights are such files: `dill.dump` of `{module name: {parameter name: array}}`. A pickle is a program
that may call any function that it can name; the few that make an array or a dict are known here, each as a harmless
stand-in, and at any other name the file is refused.
"""

import itertools
import math
import pickle
from collections.abc import Callable
from typing import Any, BinaryIO, ClassVar, NamedTuple

import ml_dtypes
import numpy as np
from etils import epath

from flamingo_jax.interop.files.plain_pickle import PlainUnpickler
from flamingo_jax.interop.files.positional import PositionalFile
from flamingo_jax.interop.files.tensors import TensorFile, TensorSpec, WeightsError

_ELEMENTS = ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1")
_DEEPEST = 8  # dicts in dicts; parameters are two deep
_MOST_ENTRIES = 1_000_000  # far more than any model has; a pickle of shared dicts could otherwise unfold without end


class HaikuPickleFile(TensorFile):
    """The arrays in a pickle of nested dicts (protocol 3 to 5), whatever its name: DeepMind's end in `.npz`.

    Names are the keys from the root to the array joined by "/": parameter `w` of module `NFNet/~/stem_conv0` is
    "NFNet/~/stem_conv0/w". Numbers, strings and None between the arrays go to `metadata` under such names. Arrays are
    left where they lie in the pickle until they are asked for.
    """

    def __init__(self, path: epath.Path):
        """Reads the pickle around the arrays; raises WeightsError where it is damaged or asks for anything else."""
        self._file = PositionalFile(path)
        try:
            with path.open("rb") as file:
                leaves = _flatten(path, _load(file, path, self._file.size))
            self._arrays = {name: leaf for name, leaf in leaves.items() if isinstance(leaf, _Array)}
            if not self._arrays:
                raise WeightsError(f"{path} is no weight file of a known format: it is a pickle without any array")
        except BaseException:
            self._file.close()
            raise
        specs = {name: TensorSpec(array.shape, array.dtype) for name, array in self._arrays.items()}
        super().__init__(path, specs, {name: leaf for name, leaf in leaves.items() if name not in specs})

    def _read(self, name: str) -> np.ndarray:
        array = self._arrays[name]
        data = self._file.read(array.data.start, array.data.length).view(array.dtype)
        return np.require(data.reshape(array.shape, order="F" if array.fortran else "C"), requirements="C")

    def _release(self) -> None:
        self._file.close()


class _Bytes(NamedTuple):
    """Bytes that were left in the file."""

    start: int
    length: int


class _Element(NamedTuple):
    """Stands for a numpy dtype."""

    dtype: np.dtype

    def build(self, state: Any) -> None:
        _, order, subtype, names, fields, *_ = state
        if order == ">":
            raise ValueError("its arrays are big-endian; save it again on a little-endian machine")
        if (subtype, names, fields) != (None, None, None):
            raise ValueError("structured arrays")


class _Array:
    """Stands for an array. Pickles make it empty and then set its state: `data` is None in between."""

    data: _Bytes | None = None
    dtype: np.dtype
    shape: tuple[int, ...]
    fortran: bool

    def build(self, state: Any) -> "_Array":
        """Takes the state that numpy gives an array: `(version, shape, dtype, is Fortran-ordered, bytes)`."""
        _, shape, element, fortran, data = state
        if not isinstance(element, _Element) or not isinstance(data, _Bytes):
            raise ValueError("an array without a plain dtype and bytes")
        if type(shape) is not tuple or not all(type(size) is int and size >= 0 for size in shape):
            raise ValueError(f"an array of shape {shape!r}")
        if math.prod(shape) * element.dtype.itemsize != data.length:
            raise ValueError(f"{data.length} bytes for an array of shape {shape} and type {element.dtype}")
        self.shape, self.dtype, self.fortran, self.data = shape, element.dtype, bool(fortran), data
        return self


class _Call(NamedTuple):
    """Stands for a function or class. A tuple, so that no pickle can set an attribute on it."""

    make: Callable[..., Any]

    def __call__(self, *arguments: Any) -> Any:
        return self.make(*arguments)


def _element(kind: Any, align: bool = False, copy: bool = True) -> _Element:
    if isinstance(kind, _Element):  # a type that numpy has no letter for
        return kind
    if kind not in _ELEMENTS:
        raise ValueError(f"arrays of type {kind!r}; numbers can be loaded")
    return _Element(np.dtype(kind))


def _from_state(make: Any, arguments: Any, state: Any, extra: Any = None) -> _Array:
    """dill's and JAX's way: how to make an empty array, its state, and attributes of theirs."""
    if make is not _EMPTY:
        raise ValueError("an array of a class of its own")
    return _Array().build(state)


def _from_buffer(data: Any, element: Any, shape: Any, order: Any, axes: Any = None) -> _Array:
    """numpy's way since protocol 5."""
    if order not in ("C", "F") or axes is not None:
        raise ValueError("an array with permuted axes in memory")
    return _Array().build((1, shape, element, order == "F", data))


def _mapping(*arguments: Any) -> dict:
    """Haiku's immutable dicts, which are made from a dict, and OrderedDict, made empty and filled."""
    if any(type(argument) is not dict for argument in arguments):
        raise ValueError("a mapping that is not made from a dict")
    return dict(*arguments)


_EMPTY = _Call(lambda *arguments: _Array())
_NUMPY = {
    "multiarray._reconstruct": _EMPTY,
    "multiarray.scalar": _Call(lambda element, data: _Array().build((1, (), element, False, data))),
    "numeric._frombuffer": _Call(_from_buffer),
}
_KNOWN = {
    "numpy.ndarray": _EMPTY,
    "numpy.dtype": _Call(_element),
    "ml_dtypes.bfloat16": _Element(np.dtype(ml_dtypes.bfloat16)),
    "collections.OrderedDict": _Call(_mapping),
    "haiku._src.data_structures.FlatMapping": _Call(_mapping),
    "haiku._src.data_structures.frozendict": _Call(_mapping),
    "dill._dill._create_array": _Call(_from_state),
    "jax._src.array._reconstruct_array": _Call(_from_state),
    # numpy 2 renamed the module.
    **{f"numpy.{core}.{name}": stand_in for core in ("core", "_core") for name, stand_in in _NUMPY.items()},
}


def _load(file: BinaryIO, path: epath.Path, size: int) -> Any:
    """The object in `file`, which is `size` long, with an `_Array` for each array."""
    try:
        return _ArrayUnpickler(file, path, size).load()
    except WeightsError:
        raise
    except RecursionError:
        raise WeightsError(f"{path} is nested too deep to be a file of weights") from None
    # A damaged pickle surfaces as nearly any exception, from EOFError to MemoryError.
    except Exception as error:
        raise WeightsError(
            f"{path} is a truncated or corrupt pickle of arrays ({type(error).__name__}: {error}); fetch it again"
        ) from error


class _Input:
    """What the unpickler reads: no piece of it is longer than the file, whatever length a damaged pickle gives."""

    def __init__(self, file: BinaryIO, size: int):
        self._file, self._size = file, size

    def read(self, length: int) -> bytes:
        if length > self._size - self._file.tell():
            raise EOFError("it ends too early")
        return self._file.read(length)

    def readline(self) -> bytes:
        return self._file.readline()

    def skip(self, length: int) -> _Bytes:
        start = self._file.tell()
        if length > self._size - start:
            raise EOFError("it ends within an array")
        self._file.seek(length, 1)
        return _Bytes(start, length)


class _ArrayUnpickler(PlainUnpickler):
    def __init__(self, file: BinaryIO, path: epath.Path, size: int):
        self._input, self._path = _Input(file, size), path
        super().__init__(self._input)

    def find_class(self, module: str, name: str) -> Any:
        stand_in = _KNOWN.get(f"{module}.{name}")
        if stand_in is None:
            raise WeightsError(
                f"{self._path} asks for {module}.{name}: a file of Haiku parameters may hold arrays, numbers and "
                "strings in dicts; nothing else is loaded or run. If you trust it, load it with Haiku and save it so"
            )
        return stand_in

    def _leave_bytes(self, length_bytes: int) -> None:
        self.append(self._input.skip(int.from_bytes(self.read(length_bytes), "little")))

    def _ignore_frame(self) -> None:
        self.read(8)  # its length: frames are a hint to buffer, and only in the way where bytes are skipped

    def _build(self) -> None:
        state = self.stack.pop()
        if not isinstance(self.stack[-1], _Array | _Element):
            raise ValueError("a state for what is no array")
        self.stack[-1].build(state)

    # Arrays are left unread.
    dispatch: ClassVar = {
        **PlainUnpickler.dispatch,
        pickle.SHORT_BINBYTES[0]: lambda self: self._leave_bytes(1),
        pickle.BINBYTES[0]: lambda self: self._leave_bytes(4),
        pickle.BINBYTES8[0]: lambda self: self._leave_bytes(8),
        pickle.BYTEARRAY8[0]: lambda self: self._leave_bytes(8),
        pickle.FRAME[0]: _ignore_frame,
        pickle.BUILD[0]: _build,
    }


def _flatten(path: epath.Path, tree: Any) -> dict[str, Any]:
    """The leaves of nested dicts by name."""
    leaves: dict[str, Any] = {}
    entries = itertools.count(1)

    def visit(node: Any, name: str, depth: int) -> None:
        if next(entries) > _MOST_ENTRIES:
            raise WeightsError(f"{path} holds more than {_MOST_ENTRIES:,} entries; it is no file of weights")
        if isinstance(node, dict):
            if depth == _DEEPEST:
                raise WeightsError(f"{path}: {name!r} is nested too deep to be a file of parameters")
            for key, child in node.items():
                if not isinstance(key, str):
                    raise WeightsError(
                        f"{path}: {name!r} has a key that is no string; save a dict of parameters by name"
                    )
                visit(child, f"{name}/{key}" if depth else key, depth + 1)
            return
        if not (isinstance(node, _Array) and node.data) and not isinstance(node, str | int | float | None):
            raise WeightsError(f"{path}: {name!r} is neither an array nor a number; save parameters as dicts of arrays")
        if name in leaves:
            raise WeightsError(f"{path} holds {name!r} twice, once flat and once nested; save one of them")
        leaves[name] = node

    visit(tree, "", 0)
    return leaves
