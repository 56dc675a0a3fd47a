"""How a tensor of another code base is laid out, and how it becomes parameters of ours, and back: both ways exactly.

A layout relates one of their tensors to one or several parameters (a fused qkv matrix holds three). It works on shapes
alone, so that a file can be checked before any of it is read, and every conversion moves numbers without changing one.
"""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

Shape = tuple[int, ...]


class Layout:
    """The interface. `shapes` are those of our parameters, in the order of the rule that names them."""

    def their_shape(self, shapes: Sequence[Shape]) -> Shape:
        """The shape of their tensor."""
        raise NotImplementedError

    def to_ours(self, tensor: np.ndarray, shapes: Sequence[Shape]) -> list[np.ndarray]:
        """Our parameters, of `shapes`, from their tensor, which has `their_shape(shapes)`."""
        raise NotImplementedError

    def to_theirs(self, arrays: Sequence[np.ndarray]) -> np.ndarray:
        """The inverse of `to_ours`."""
        raise NotImplementedError


class Single(Layout):
    """A layout of one parameter."""

    def shape(self, shape: Shape) -> Shape:
        """The shape of their tensor, from ours."""
        raise NotImplementedError

    def ours(self, tensor: np.ndarray, shape: Shape) -> np.ndarray:
        """Our parameter, of `shape`."""
        raise NotImplementedError

    def theirs(self, array: np.ndarray) -> np.ndarray:
        """Their tensor."""
        raise NotImplementedError

    def their_shape(self, shapes: Sequence[Shape]) -> Shape:
        (shape,) = shapes
        return self.shape(shape)

    def to_ours(self, tensor: np.ndarray, shapes: Sequence[Shape]) -> list[np.ndarray]:
        (shape,) = shapes
        return [self.ours(tensor, shape)]

    def to_theirs(self, arrays: Sequence[np.ndarray]) -> np.ndarray:
        (array,) = arrays
        return self.theirs(array)


@dataclasses.dataclass(frozen=True)
class Plain(Single):
    """The same shape: norms and embedding tables."""

    def shape(self, shape: Shape) -> Shape:
        return shape

    def ours(self, tensor: np.ndarray, shape: Shape) -> np.ndarray:
        return tensor

    def theirs(self, array: np.ndarray) -> np.ndarray:
        return array


@dataclasses.dataclass(frozen=True)
class Flat(Single):
    """One axis of theirs is any number of ours: biases of heads `[heads * head_dim]`, and scalars stored as `[1]`."""

    def shape(self, shape: Shape) -> Shape:
        return (math.prod(shape),)

    def ours(self, tensor: np.ndarray, shape: Shape) -> np.ndarray:
        return tensor.reshape(shape)

    def theirs(self, array: np.ndarray) -> np.ndarray:
        return array.reshape(-1)


@dataclasses.dataclass(frozen=True)
class Led(Single):
    """Theirs has extra axes of length 1 in front: `[1, 1, width]` for `[width]`."""

    axes: int = 1

    def shape(self, shape: Shape) -> Shape:
        return (1,) * self.axes + shape

    def ours(self, tensor: np.ndarray, shape: Shape) -> np.ndarray:
        return tensor.reshape(shape)

    def theirs(self, array: np.ndarray) -> np.ndarray:
        return array.reshape(self.shape(array.shape))


@dataclasses.dataclass(frozen=True)
class Linear(Single):
    """A matrix `[out, in]` for a kernel `[*in axes, *out axes]` whose first `contracted` axes are the inputs.

    `transposed=False`: their matrix is `[in, out]` (GPT-2's Conv1D).
    """

    contracted: int = 1
    transposed: bool = True

    def shape(self, shape: Shape) -> Shape:
        sides = math.prod(shape[: self.contracted]), math.prod(shape[self.contracted :])
        return sides[::-1] if self.transposed else sides

    def ours(self, tensor: np.ndarray, shape: Shape) -> np.ndarray:
        return (tensor.T if self.transposed else tensor).reshape(shape)

    def theirs(self, array: np.ndarray) -> np.ndarray:
        matrix = array.reshape(math.prod(array.shape[: self.contracted]), -1)
        return matrix.T if self.transposed else matrix


@dataclasses.dataclass(frozen=True)
class Trailed(Single):
    """Theirs is `part` with extra axes of length 1 behind: a matrix kept as a 1 x 1 convolution `[out, in, 1, 1]`."""

    part: Single
    axes: int

    def shape(self, shape: Shape) -> Shape:
        return self.part.shape(shape) + (1,) * self.axes

    def ours(self, tensor: np.ndarray, shape: Shape) -> np.ndarray:
        return self.part.ours(tensor.reshape(tensor.shape[: tensor.ndim - self.axes]), shape)

    def theirs(self, array: np.ndarray) -> np.ndarray:
        tensor = self.part.theirs(array)
        return tensor.reshape(tensor.shape + (1,) * self.axes)


@dataclasses.dataclass(frozen=True)
class Convolution(Single):
    """A kernel `[out, in / groups, height, width]` for our `[height, width, in / groups, out]`."""

    def shape(self, shape: Shape) -> Shape:
        height, width, inputs, outputs = shape
        return outputs, inputs, height, width

    def ours(self, tensor: np.ndarray, shape: Shape) -> np.ndarray:
        return tensor.transpose(2, 3, 1, 0)

    def theirs(self, array: np.ndarray) -> np.ndarray:
        return array.transpose(3, 2, 0, 1)


@dataclasses.dataclass(frozen=True)
class Joined(Layout):
    """Several parameters stand one after the other on their first axis (or `axis`), each laid out by `part`.

    Fused qkv and kv matrices and biases, and embedding tables to which rows were added.
    """

    part: Single
    axis: int = 0

    def their_shape(self, shapes: Sequence[Shape]) -> Shape:
        parts = [list(self.part.shape(shape)) for shape in shapes]
        length = sum(part.pop(self.axis) for part in parts)
        if any(part != parts[0] for part in parts):
            raise ValueError(f"parameters of shapes {list(shapes)} cannot stand in one tensor")
        rest = parts[0]
        return *rest[: self.axis], length, *rest[self.axis :]

    def to_ours(self, tensor: np.ndarray, shapes: Sequence[Shape]) -> list[np.ndarray]:
        ends = np.cumsum([self.part.shape(shape)[self.axis] for shape in shapes])[:-1]
        pieces = np.split(tensor, ends, axis=self.axis)
        return [self.part.ours(piece, shape) for piece, shape in zip(pieces, shapes, strict=True)]

    def to_theirs(self, arrays: Sequence[np.ndarray]) -> np.ndarray:
        return np.concatenate([self.part.theirs(array) for array in arrays], axis=self.axis)


@dataclasses.dataclass(frozen=True)
class JoinedByHead(Layout):
    """Several parameters of equal shape whose heads alternate on their first axis (GPT-NeoX: q0 k0 v0 q1 k1 v1 ...)."""

    part: Single
    num_heads: int

    def their_shape(self, shapes: Sequence[Shape]) -> Shape:
        return Joined(self.part).their_shape(shapes)

    def to_ours(self, tensor: np.ndarray, shapes: Sequence[Shape]) -> list[np.ndarray]:
        rest = tensor.shape[1:]
        heads = tensor.reshape(self.num_heads, len(shapes), -1, *rest)
        return [self.part.ours(heads[:, i].reshape(-1, *rest), shape) for i, shape in enumerate(shapes)]

    def to_theirs(self, arrays: Sequence[np.ndarray]) -> np.ndarray:
        parts = [self.part.theirs(array) for array in arrays]
        rest = parts[0].shape[1:]
        return np.stack([part.reshape(self.num_heads, -1, *rest) for part in parts], axis=1).reshape(-1, *rest)


@dataclasses.dataclass(frozen=True)
class RotaryPairs(Single):
    """A q or k matrix (or bias) whose rotary pairs are neighbours, as llama.cpp stores Llama's; ours holds halves."""

    part: Single
    num_heads: int

    def shape(self, shape: Shape) -> Shape:
        return self.part.shape(shape)

    def ours(self, tensor: np.ndarray, shape: Shape) -> np.ndarray:
        rest = tensor.shape[1:]
        pairs = tensor.reshape(self.num_heads, -1, 2, *rest)
        return self.part.ours(pairs.swapaxes(1, 2).reshape(tensor.shape), shape)

    def theirs(self, array: np.ndarray) -> np.ndarray:
        tensor = self.part.theirs(array)
        halves = tensor.reshape(self.num_heads, 2, -1, *tensor.shape[1:])
        return halves.swapaxes(1, 2).reshape(tensor.shape)
