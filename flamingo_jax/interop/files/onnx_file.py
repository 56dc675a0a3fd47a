"""ONNX, the exchange format of whole networks: the parameters in the graph of one."""

import numpy as np
from etils import epath

from flamingo_jax.interop.files.onnx_graph import Constant, read_graph
from flamingo_jax.interop.files.onnx_names import Made, parameters
from flamingo_jax.interop.files.positional import PositionalFile
from flamingo_jax.interop.files.protobuf import MessageError, Messages
from flamingo_jax.interop.files.tensors import TensorFile, TensorSpec, WeightsError


class OnnxFile(TensorFile):
    """The constants of an ONNX graph, under the names that they had as parameters of the module that was exported.

    Torch's exporter renames and turns some; here they have their names and shapes again (`onnx_names`). Nothing of the
    graph is run. Files that keep their weights beside them, and quantized ones, are not supported.
    """

    def __init__(self, path: epath.Path):
        """Reads the graph of `path` around its constants; raises WeightsError where it is damaged."""
        self._file = PositionalFile(path)
        try:
            with path.open("rb") as file:
                graph = read_graph(Messages(file, self._file.size))
            self._constants, self._made = graph.constants, parameters(graph)
        except MessageError as error:
            self._file.close()
            raise WeightsError(f"{path} cannot be read as an ONNX file: {error}") from error
        except BaseException:
            self._file.close()
            raise
        specs = {name: _spec([self._constants[part] for part in made.parts], made) for name, made in self._made.items()}
        super().__init__(path, specs, {"producer": graph.producer})

    def _read(self, name: str) -> np.ndarray:
        made = self._made[name]
        arrays = [self._constant(self._constants[part]) for part in made.parts]
        if len(arrays) > 1:
            return np.concatenate(arrays, axis=made.axis)
        return np.ascontiguousarray(arrays[0].T) if made.transposed else arrays[0]

    def _constant(self, constant: Constant) -> np.ndarray:
        spec = constant.spec
        return self._file.read(*constant.data).view(spec.dtype).reshape(spec.shape)

    def _release(self) -> None:
        self._file.close()


def _spec(constants: list[Constant], made: Made) -> TensorSpec:
    shape, dtype = constants[0].spec
    if len(constants) > 1:
        length = sum(constant.spec.shape[made.axis] for constant in constants)
        shape = (*shape[: made.axis], length, *shape[made.axis + 1 :])
    return TensorSpec(shape[::-1] if made.transposed else shape, dtype)
