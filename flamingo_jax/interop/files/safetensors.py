"""safetensors, the format of Hugging Face's checkpoints."""

import json

import ml_dtypes
import numpy as np
import safetensors
from etils import epath

from flamingo_jax.interop.files.positional import PositionalFile
from flamingo_jax.interop.files.tensors import TensorFile, TensorSpec, WeightsError

DTYPES = {
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
"""The format's names of element types; the file itself is little-endian."""


class SafetensorsFile(TensorFile):
    """A safetensors file; bfloat16 tensors have the dtype of ml_dtypes. `metadata` is the header's `__metadata__`."""

    def __init__(self, path: epath.Path):
        """Reads the header of `path`; raises WeightsError where it is corrupt or the data falls short of it."""
        try:
            # The package checks that header and data fit each other. Its reading maps the file, so ours is below.
            with safetensors.safe_open(path, framework="np"):
                pass
        except Exception as error:  # SafetensorError derives from Exception itself
            raise WeightsError(
                f"{path} is a truncated or corrupt safetensors file ({error}); fetch it again"
            ) from error
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(length))
        # Name -> first byte and length in the file.
        self._spans: dict[str, tuple[int, int]] = {}
        specs = {}
        metadata = header.pop("__metadata__", None) or {}
        for name, entry in header.items():
            kind, (start, end) = entry["dtype"], entry["data_offsets"]
            if kind not in DTYPES:
                raise WeightsError(
                    f"{path}: {name} has elements of type {kind}, which is not supported; known: {', '.join(DTYPES)}"
                )
            specs[name] = TensorSpec(tuple(entry["shape"]), DTYPES[kind])
            self._spans[name] = 8 + length + start, end - start
        super().__init__(path, specs, metadata)
        self._file = PositionalFile(path)

    def _read(self, name: str) -> np.ndarray:
        spec = self._specs[name]
        return self._file.read(*self._spans[name]).view(spec.dtype).reshape(spec.shape)

    def _release(self) -> None:
        self._file.close()
