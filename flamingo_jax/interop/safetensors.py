"""safetensors, the format of Hugging Face's checkpoints."""

import ml_dtypes
import numpy as np
import safetensors
from etils import epath

from flamingo_jax.interop.tensors import TensorFile, TensorSpec, WeightsError

_DTYPES = {
    "F64": np.dtype(np.float64),
    "F32": np.dtype(np.float32),
    "F16": np.dtype(np.float16),
    "BF16": np.dtype(ml_dtypes.bfloat16),
    "I64": np.dtype(np.int64),
    "I32": np.dtype(np.int32),
    "I16": np.dtype(np.int16),
    "I8": np.dtype(np.int8),
    "U64": np.dtype(np.uint64),
    "U32": np.dtype(np.uint32),
    "U16": np.dtype(np.uint16),
    "U8": np.dtype(np.uint8),
    "BOOL": np.dtype(np.bool_),
    "C64": np.dtype(np.complex64),
}


class SafetensorsFile(TensorFile):
    """A safetensors file; bfloat16 tensors have the dtype of ml_dtypes. `metadata` is the header's `__metadata__`."""

    def __init__(self, path: epath.Path):
        """Reads the header of `path`; raises WeightsError where it is corrupt or the data falls short of it."""
        try:
            self._file = safetensors.safe_open(path, framework="np")
        except Exception as error:  # SafetensorError derives from Exception itself
            raise WeightsError(
                f"{path} is a truncated or corrupt safetensors file ({error}); fetch it again"
            ) from error
        # A list: the handle has keys() but cannot be iterated.
        names = list(self._file.keys())
        super().__init__(path, {name: self._describe(path, name) for name in names}, self._file.metadata() or {})

    def _describe(self, path: epath.Path, name: str) -> TensorSpec:
        piece = self._file.get_slice(name)
        kind = piece.get_dtype()
        if kind not in _DTYPES:
            raise WeightsError(
                f"{path}: {name} has elements of type {kind}, which is not supported; known: {', '.join(_DTYPES)}"
            )
        return TensorSpec(tuple(piece.get_shape()), _DTYPES[kind])

    def _read(self, name: str) -> np.ndarray:
        return self._file.get_tensor(name)

    def _release(self) -> None:
        self._file = None
