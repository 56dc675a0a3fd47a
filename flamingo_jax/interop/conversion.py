"""Moves weights from the files of others into canonical parameters, and from there into other files: tensor by tensor.

A conversion is a list of (opened file, weight map), which together give `Parameters`; and a weight map of the target,
read the other way. Names and shapes are compared before anything is read, and never is more than a tensor in memory.
"""

import collections
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from flamingo_jax.interop.files.pieces import cast
from flamingo_jax.interop.files.tensors import TensorFile, TensorSpec, WeightsError
from flamingo_jax.interop.layouts import Shape
from flamingo_jax.interop.weight_map import Drop, Rule, WeightMap, compare, some


class Source(NamedTuple):
    """An opened file of weights, and where its tensors go."""

    file: TensorFile
    weights: WeightMap


class Dropped(NamedTuple):
    """A tensor, or parameter, of `nbytes` that is left behind."""

    name: str
    nbytes: int
    reason: str


class Parameters(Mapping[str, np.ndarray]):
    """A model's parameters by canonical name, read from weight files when asked for.

    Parameters come in the order of the files' rules; read in that order, each tensor of the files is read once. The
    tensor that was read last is kept, for the sake of fused ones that hold several parameters.

    Attributes:
      specs: shape and stored type of each.
      dropped: the tensors that no parameter comes from.
      zeros: the parameters that are zeros because no file has them, and why.
    """

    def __init__(self, sources: Sequence[Source], shapes: Mapping[str, Shape], zeros: Mapping[str, str] | None = None):
        """Compares the files with the model.

        Args:
          sources: if two of them hold one parameter, the earlier one gives it.
          shapes: of each parameter that is wanted, by canonical name.
          zeros: parameters to be zeros, each with the reason.

        Raises:
          WeightsError: one message with every tensor that is missing, is not known, or has the wrong shape, and every
            parameter that no file holds.
        """
        self.specs: dict[str, TensorSpec] = {}
        self.dropped: list[Dropped] = []
        self.zeros = dict(zeros or {})
        self._home: dict[str, tuple[TensorFile, Rule]] = {}
        self._shapes = shapes
        self._last: tuple[object, dict[str, np.ndarray]] = None, {}
        complaints = []
        for source in sources:
            complaints += self._add(source)
        self.specs |= {name: TensorSpec(shapes[name], np.dtype(np.float32)) for name in self.zeros}
        lacking = [name for name in shapes if name not in self._home and name not in self.zeros]
        if lacking:
            files = " and ".join(str(source.file.path) for source in sources)
            complaints.append(f"{files}: nothing there gives {len(lacking)} parameters of the model: {some(lacking)}")
        if complaints:
            raise WeightsError("The weights do not fit the model's config. " + ". ".join(complaints))

    def _add(self, source: Source) -> list[str]:
        """Takes what no earlier source gives; returns what is wrong."""
        file = source.file
        homes: dict[str, tuple[TensorFile, Rule]] = {}
        rules, drops = [], []
        for rule in source.weights.rules:
            known = collections.ChainMap(homes, self._home)
            if fresh := [name for name in rule.ours if name not in known]:
                rules.append(rule)
                homes |= dict.fromkeys(fresh, (file, rule))
            else:
                other, used = known[rule.ours[0]]
                origin = used.theirs if other is file else other.path.name
                drops.append(Drop(re.escape(rule.theirs), f"{some(rule.ours)} comes from {origin}"))
        weights = WeightMap(tuple(rules), (*drops, *source.weights.drops))
        specs = {name: file.spec(name) for name in file}
        dropped, problems = compare(specs, weights, self._shapes)
        self.dropped += [Dropped(name, specs[name].nbytes, reason) for name, reason in dropped.items()]
        self._home |= homes
        for name, (_, rule) in homes.items():
            if rule.theirs in specs:
                self.specs[name] = TensorSpec(self._shapes[name], specs[rule.theirs].dtype)
        return [f"{file.path}: {'. '.join(problems)}"] if problems else []

    def __getitem__(self, name: str) -> np.ndarray:
        """Reads one parameter, in the type that its file stores. It may be a view that is not in row-major order."""
        if name in self.zeros:
            return np.zeros(self._shapes[name], np.float32)
        home = self._home[name]
        if self._last[0] is not home or name not in self._last[1]:
            self._last = None, {}  # freed before the next one is read
            self._last = home, self._read(*home)
        return self._last[1].pop(name)

    def groups(self) -> list[tuple[str, ...]]:
        """The names, those together that one tensor of the files holds."""
        groups: dict[int, list[str]] = {}
        for name in self:
            groups.setdefault(id(self._home.get(name, name)), []).append(name)
        return list(map(tuple, groups.values()))

    def read(self, names: Sequence[str]) -> dict[str, np.ndarray]:
        """Reads the parameters of one of `groups`. Several threads may."""
        if names[0] in self.zeros:
            return {name: self[name] for name in names}
        found = self._read(*self._home[names[0]])
        return {name: found[name] for name in names}

    def _read(self, file: TensorFile, rule: Rule) -> dict[str, np.ndarray]:
        """All parameters of one tensor, also those that another file gives."""
        made = rule.layout.to_ours(file[rule.theirs], [self._shapes[ours] for ours in rule.ours])
        return dict(zip(rule.ours, made, strict=True))

    def __contains__(self, name: object) -> bool:
        return name in self.specs  # without reading it, as Mapping's own would

    def __iter__(self) -> Iterator[str]:
        return iter(self.specs)

    def __len__(self) -> int:
        return len(self.specs)


class Target:
    """Parameters as the tensors of another format.

    Attributes:
      rules: how, in the order in which the tensors are written.
      specs: shape and stored type of each tensor, in that order.
      dropped: the parameters that are left behind.
      constants: the tensors among them that no parameter gives.
    """

    def __init__(
        self,
        parameters: Parameters,
        weights: WeightMap,
        dtype: np.dtype | None = None,
        left: Sequence[Drop] = (),
        constants: Mapping[str, np.ndarray] | None = None,
    ):
        """
        Args:
          parameters: the model.
          weights: the format's weight map, as for reading it.
          dtype: what floating-point tensors are stored in; None for the type that they come in.
          left: parameters that have no place in the format, and why.
          constants: tensors that the format wants beside the parameters; in the type that most parameters have.

        Raises:
          WeightsError: a parameter has no place in the format, or the format wants one that the model lacks.
        """
        wanted = {name for rule in weights.rules for name in rule.ours}
        self.dropped: list[Dropped] = []
        homeless = []
        for name in parameters:
            if name in wanted:
                continue
            reason = next((drop.reason for drop in left if re.fullmatch(drop.pattern, name)), None)
            if reason is None:
                homeless.append(name)
            else:
                self.dropped.append(Dropped(name, parameters.specs[name].nbytes, reason))
        lacking = sorted(wanted - parameters.keys())
        problems = [
            f"{len(names)} parameters {what}: {some(names)}"
            for what, names in (
                ("of the model have no place in it", homeless),
                ("that it holds are not in the model", lacking),
            )
            if names
        ]
        if problems:
            raise WeightsError(f"The model cannot be written in that format. {'. '.join(problems)}")
        order = {name: place for place, name in enumerate(parameters)}
        self.rules = sorted(weights.rules, key=lambda rule: order[rule.ours[0]])
        self._rules = {rule.theirs: rule for rule in self.rules}
        self._parameters = parameters
        self.constants = dict(constants or {})
        self.specs = {rule.theirs: self._spec(rule, dtype) for rule in self.rules}
        types = collections.Counter(spec.dtype for spec in self.specs.values()).most_common(1)
        for name, array in self.constants.items():
            self.specs[name] = TensorSpec(array.shape, types[0][0] if types else array.dtype)

    def _spec(self, rule: Rule, dtype: np.dtype | None) -> TensorSpec:
        parts = [self._parameters.specs[name] for name in rule.ours]
        stored = _common([part.dtype for part in parts])
        if dtype is not None and is_float(stored):
            stored = dtype
        return TensorSpec(rule.layout.their_shape([part.shape for part in parts]), stored)

    def read(self, name: str) -> np.ndarray:
        """The tensor of that name, in the type that its parameters have (in common)."""
        if name in self.constants:
            return self.constants[name]
        ours = self._rules[name].ours
        stored = _common([self._parameters.specs[part].dtype for part in ours])
        return self._rules[name].layout.to_theirs([cast(self._parameters[part], stored, part) for part in ours])

    @property
    def nbytes(self) -> int:
        """Of all tensors."""
        return sum(spec.nbytes for spec in self.specs.values())


def is_float(dtype: np.dtype) -> bool:
    """Whether numbers of this type may be stored in another floating-point type."""
    return dtype.kind == "f" or dtype.name == "bfloat16"


def _common(dtypes: Sequence[np.dtype]) -> np.dtype:
    """The smallest type that holds the numbers of all of these."""
    if len(set(dtypes)) == 1:
        return dtypes[0]
    if all(is_float(dtype) and dtype.itemsize <= 4 for dtype in dtypes):
        return np.dtype(np.float32)  # bfloat16 and float16 are each other's neither
    return np.result_type(*dtypes)
