"""GGUF, the format of llama.cpp: quantized tensors, and the tokenizer beside them."""

import math
from typing import Any

import gguf
import ml_dtypes
import numpy as np
import numpy.typing as npt
from etils import epath

from flamingo_jax.interop.files.positional import PositionalFile
from flamingo_jax.interop.files.tensors import TensorFile, TensorSpec, WeightsError

# Stored as plain numbers and returned as they are; every other type is quantized and comes back as float32.
_PLAIN = {
    gguf.GGMLQuantizationType.F64: np.dtype(np.float64),
    gguf.GGMLQuantizationType.F32: np.dtype(np.float32),
    gguf.GGMLQuantizationType.F16: np.dtype(np.float16),
    gguf.GGMLQuantizationType.BF16: np.dtype(ml_dtypes.bfloat16),
    gguf.GGMLQuantizationType.I64: np.dtype(np.int64),
    gguf.GGMLQuantizationType.I32: np.dtype(np.int32),
    gguf.GGMLQuantizationType.I16: np.dtype(np.int16),
    gguf.GGMLQuantizationType.I8: np.dtype(np.int8),
}
_PIECE = 1 << 22  # bytes of quantized rows to work on at a time


class _Reader(gguf.GGUFReader):
    """The package's reader, made to stop at the end of the file: it would go on for as many entries as a count says."""

    def _get(self, offset: int, dtype: npt.DTypeLike, count: int = 1, *arguments: Any, **settings: Any) -> np.ndarray:
        values = super()._get(offset, dtype, count, *arguments, **settings)
        if len(values) < int(count):
            raise ValueError(f"it ends at byte {len(self.data)}, where more should follow")
        return values


class GgufFile(TensorFile):
    """A GGUF file.

    Shapes are row-major, [out, in] for a matrix (the file itself lists the fastest axis first). Quantized tensors are
    dequantized to float32 as they are read. The rows of `attn_q` and `attn_k` stay as llama.cpp wants them: whoever
    maps the names undoes the permutation.

    `metadata` holds every key of the file as bool, int, float, str or a list of these, among them the hyperparameters
    (`llama.rope.freq_base`) and the tokenizer (`tokenizer.ggml.tokens`, `.merges`, `.token_type`).
    """

    def __init__(self, path: epath.Path):
        """Reads the index of `path`; raises WeightsError where the file is truncated or corrupt."""
        try:
            reader = _Reader(path)
            # The package's own counters of the header (GGUF.version, ...) are no metadata.
            fields = {key: field for key, field in reader.fields.items() if not key.startswith("GGUF.")}
            metadata = {key: field.contents() for key, field in fields.items()}
        # A damaged file surfaces as nearly any exception of the parser, from IndexError to MemoryError.
        except Exception as error:
            raise WeightsError(f"{path} is a truncated or corrupt GGUF file ({error}); fetch it again") from error
        if reader.byte_order == "S":
            raise WeightsError(
                f"{path} is a big-endian GGUF file; convert it to little-endian with gguf-convert-endian"
            )
        tensors = [(tensor.name, tensor.tensor_type, int(tensor.data_offset)) for tensor in reader.tensors]
        self._places = {name: (kind, offset) for name, kind, offset in tensors}
        super().__init__(path, {tensor.name: _spec(tensor) for tensor in reader.tensors}, metadata)
        self._file = PositionalFile(path)

    def _read(self, name: str) -> np.ndarray:
        (kind, offset), spec = self._places[name], self._specs[name]
        if kind in _PLAIN:
            size = math.prod(spec.shape) * spec.dtype.itemsize
            return self._file.read(offset, size).view(spec.dtype).reshape(spec.shape)
        try:
            return self._dequantize(kind, offset, spec.shape)
        except NotImplementedError:
            raise WeightsError(
                f"{self.path}: {name} is quantized as {kind.name}, which the gguf package cannot dequantize; "
                "requantize the file (to Q8_0, say)"
            ) from None
        except WeightsError:
            raise
        except ValueError as error:
            raise WeightsError(f"{self.path} is corrupt: {name} cannot be dequantized ({error})") from error

    def _dequantize(self, kind: gguf.GGMLQuantizationType, offset: int, shape: tuple[int, ...]) -> np.ndarray:
        """Some rows at a time: the package's arithmetic makes several arrays of the size of what it is given."""
        values = np.empty(shape, np.float32)
        rows = values.reshape(-1, shape[-1])
        elements, width = gguf.GGML_QUANT_SIZES[kind]
        row_bytes = shape[-1] // elements * width
        step = max(1, _PIECE // row_bytes)
        for start in range(0, len(rows), step):
            piece = rows[start : start + step]
            data = self._file.read(offset + start * row_bytes, len(piece) * row_bytes)
            piece[:] = gguf.dequantize(data.reshape(len(piece), row_bytes), kind)
        return values

    def _release(self) -> None:
        self._file.close()


def _spec(tensor: gguf.ReaderTensor) -> TensorSpec:
    return TensorSpec(
        tuple(int(size) for size in reversed(tensor.shape)),
        _PLAIN.get(tensor.tensor_type, np.dtype(np.float32)),
    )
