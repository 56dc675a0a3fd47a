"""What an ONNX file holds: the constants of its graph by name, left in the file, and which nodes take them.

Field numbers and element types are those of onnx.proto3 (onnx.ai, IR version 3 to 13).
"""

import dataclasses
import math
from collections.abc import Sequence

import ml_dtypes
import numpy as np

from flamingo_jax.interop.files.protobuf import MessageError, Messages, Span
from flamingo_jax.interop.files.tensors import TensorSpec

_DTYPES = {
    1: np.dtype(np.float32),
    2: np.dtype(np.uint8),
    3: np.dtype(np.int8),
    4: np.dtype(np.uint16),
    5: np.dtype(np.int16),
    6: np.dtype(np.int32),
    7: np.dtype(np.int64),
    9: np.dtype(np.bool_),
    10: np.dtype(np.float16),
    11: np.dtype(np.float64),
    12: np.dtype(np.uint32),
    13: np.dtype(np.uint64),
    16: np.dtype(ml_dtypes.bfloat16),
}
_MODEL_GRAPH, _MODEL_PRODUCER = 7, 2
_GRAPH_NODE, _GRAPH_CONSTANT, _GRAPH_SPARSE = 1, 5, 15
_NODE_INPUT, _NODE_OUTPUT, _NODE_NAME, _NODE_OPERATOR = 1, 2, 3, 4
_TENSOR_DIMS, _TENSOR_DTYPE, _TENSOR_FLOATS, _TENSOR_NAME, _TENSOR_RAW, _TENSOR_DOUBLES = 1, 2, 4, 8, 9, 10
_TENSOR_NUMBERS = (5, 6, 7, 11)  # elements as varints or strings, which no exporter writes weights as
_TENSOR_LOCATION, _ELSEWHERE = 14, 1
_MOST_AXES, _LONGEST_AXIS = 16, 1 << 40


@dataclasses.dataclass(frozen=True)
class Node:
    """An operation.

    Attributes:
      name: torch's exporter gives the path of the module that does it, and the operator: "/encoder/fc/MatMul".
      operator: its type, as "MatMul".
      inputs, outputs: names of values: constants, the graph's inputs, and outputs of other nodes.
    """

    name: str
    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Constant:
    """A tensor of the graph, and where its elements lie, little-endian and row-major."""

    spec: TensorSpec
    data: Span


@dataclasses.dataclass(frozen=True)
class Graph:
    """The nodes of a file in their order, its constants by name, and the program that wrote it."""

    nodes: Sequence[Node]
    constants: dict[str, Constant]
    producer: str


def read_graph(messages: Messages) -> Graph:
    """The graph of a model.

    Raises:
      MessageError: the file is damaged, has no graph, or keeps its constants in another way than as plain numbers in
        it; says which constant.
    """
    graph, producer = None, ""
    for number, value in messages.fields(messages.whole):
        if number == _MODEL_GRAPH:
            graph = _span(value)
        elif number == _MODEL_PRODUCER:
            producer = messages.text(_span(value))
    if graph is None:
        raise MessageError("it has no graph")
    nodes, constants = [], {}
    for number, value in messages.fields(graph):
        if number == _GRAPH_NODE:
            nodes.append(_node(messages, _span(value)))
        elif number == _GRAPH_CONSTANT:
            name, constant = _constant(messages, _span(value))
            if name in constants:
                raise MessageError(f"it has two constants {name!r}")
            constants[name] = constant
        elif number == _GRAPH_SPARSE:
            raise MessageError("it has sparse constants, which are not supported")
    return Graph(nodes, constants, producer)


def _node(messages: Messages, span: Span) -> Node:
    texts: dict[int, list[str]] = {_NODE_INPUT: [], _NODE_OUTPUT: [], _NODE_NAME: [""], _NODE_OPERATOR: [""]}
    for number, value in messages.fields(span):
        if number in texts:
            texts[number].append(messages.text(_span(value)))
    return Node(texts[_NODE_NAME][-1], texts[_NODE_OPERATOR][-1], tuple(texts[_NODE_INPUT]), tuple(texts[_NODE_OUTPUT]))


def _constant(messages: Messages, span: Span) -> tuple[str, Constant]:
    name, kind, shape, data, elsewhere = "", 0, [], None, False
    for number, value in messages.fields(span):
        if number == _TENSOR_NAME:
            name = messages.text(_span(value))
        elif number == _TENSOR_DTYPE:
            kind = value
        elif number == _TENSOR_DIMS:
            shape += messages.varints(value) if isinstance(value, Span) else [value]
        elif number in (_TENSOR_RAW, _TENSOR_FLOATS, _TENSOR_DOUBLES):
            data = _span(value)
        elif number in _TENSOR_NUMBERS and data is None:
            data = Span(span.start, -1)
        elif number == _TENSOR_LOCATION:
            elsewhere = value == _ELSEWHERE
    if elsewhere:
        raise MessageError(f"{name!r} lies in a file of its own beside it; save the model as one file")
    if kind not in _DTYPES:
        raise MessageError(f"{name!r} has elements of type {kind}, which is not supported")
    if len(shape) > _MOST_AXES or max(shape, default=0) > _LONGEST_AXIS:
        raise MessageError(f"{name!r} has no shape that an array can have")
    spec = TensorSpec(tuple(shape), _DTYPES[kind])
    data = Span(span.start, 0) if data is None else data
    if data.length == -1:
        raise MessageError(f"{name!r} is written number by number; save it with raw data")
    if data.length != math.prod(shape) * spec.dtype.itemsize:
        raise MessageError(f"{name!r} has {data.length} bytes for an array of shape {spec.shape} and type {spec.dtype}")
    return name, Constant(spec, data)


def _span(value: int | Span) -> Span:
    """The value of a field that is a message, a string or packed numbers."""
    if not isinstance(value, Span):
        raise MessageError("a number where a message should be")
    return value
