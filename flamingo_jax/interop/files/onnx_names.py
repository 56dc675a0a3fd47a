"""The parameters of a PyTorch module from the graph that torch's exporter made of it.

The exporter computes what does not depend on the input, and gives the result a number for a name. So two kinds of
parameters lose theirs: the weight of a linear layer, which it turns (`onnx::MatMul_1966` is `fc.weight`, transposed),
and a Vision Transformer's table of positions, which it cuts into the class token's row and the patches' rows. The graph
tells both: which module multiplies by the constant, and which pieces are joined again.
"""

import dataclasses
from collections.abc import Iterator

from flamingo_jax.interop.files.onnx_graph import Graph, Node

_NUMBERED = "onnx::"
# Operations through which the patches' rows go while they are fitted to the image. The rows are the first input.
_FITTING = ("Reshape", "Transpose", "Cast", "Resize")
_MOST_FITTING = 16  # in a row; seven are known. The nodes of a damaged file may feed each other


@dataclasses.dataclass(frozen=True)
class Made:
    """How a parameter is made of constants of the graph.

    Attributes:
      parts: their names.
      transposed: the one part is a matrix that is turned.
      axis: several parts are joined on it.
    """

    parts: tuple[str, ...]
    transposed: bool = False
    axis: int = 0


def parameters(graph: Graph) -> dict[str, Made]:
    """Every constant by the name of the parameter that it is; by its own where the graph does not tell another."""
    makers = {output: node for node in graph.nodes for output in node.outputs}
    found: dict[str, Made] = {}
    for node in graph.nodes:
        for name, made in (*_weight(node, graph), *_positions(node, graph, makers)):
            if _module(node) and name not in graph.constants:
                found.setdefault(name, made)
    used = {part for made in found.values() for part in made.parts}
    return {name: Made((name,)) for name in graph.constants if name not in used} | found


def _weight(node: Node, graph: Graph) -> Iterator[tuple[str, Made]]:
    """The weight of the linear layer that a node is."""
    if node.operator != "MatMul" or len(node.inputs) != 2:
        return
    constant = node.inputs[1]
    if _numbered(constant, graph) and len(graph.constants[constant].spec.shape) == 2:
        yield f"{_module(node)}.weight", Made((constant,), transposed=True)


def _positions(node: Node, graph: Graph, makers: dict[str, Node]) -> Iterator[tuple[str, Made]]:
    """The table whose rows a node joins: those of the class token, `[1, 1, width]`, and those of the patches."""
    if node.operator != "Concat" or len(node.inputs) != 2 or not _numbered(node.inputs[0], graph):
        return
    first, patches = node.inputs
    for _ in range(_MOST_FITTING):
        if patches not in makers or makers[patches].operator not in _FITTING:
            break
        patches = next(iter(makers[patches].inputs), "")
    if not _numbered(patches, graph):
        return
    one, many = graph.constants[first].spec, graph.constants[patches].spec
    tables = len(one.shape) == len(many.shape) == 3 and one.shape[::2] == many.shape[::2]
    if tables and one.shape[1] == 1 and one.dtype == many.dtype:
        yield f"{_module(node)}.position_embeddings", Made((first, patches), axis=1)


def _numbered(name: str, graph: Graph) -> bool:
    return name.startswith(_NUMBERED) and name in graph.constants


def _module(node: Node) -> str:
    """The module that does an operation: "encoder.layer.0.fc" of "/encoder/layer.0/fc/MatMul"."""
    return ".".join(node.name.split("/")[1:-1])
