"""Sharding is data: logical axis names of parameters and activations -> mesh axes."""

import difflib
import math
from collections.abc import Mapping, Sequence
from typing import Any

import jax
from flax import linen as nn
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from flamingo_jax.config import ConfigError
from flamingo_jax.parallel.names import NAMES

Rules = tuple[tuple[str, str | tuple[str, ...] | None], ...]

# Every parameter on every device, the batch spread over all of them.
REPLICATED: Rules = (("batch", ("replica", "data", "fsdp")), ("image_batch", ("replica", "data", "fsdp")))

_SUGGESTED = 3  # of the sizes that would do, the largest


def check_rules(rules: Rules, source: str, mesh_axes: Sequence[str], needed: Sequence[str] = ()) -> None:
    """Refuses rules that do nothing because a name in them is wrong.

    Args:
      source: what the message calls the rules, such as "MeshConfig.rules".
      mesh_axes: the names of the mesh's axes.
      needed: logical names that there must be a rule for.

    Raises:
      ConfigError: a rule is no (logical name, mesh axes), one of its names is not known, or a needed rule is missing.
    """
    for rule in rules:
        if not _is_rule(rule):
            raise ConfigError(
                f"{source}: a rule is (name, mesh axis), (name, (mesh axis, ...)), each axis once, or (name, None); "
                f"got {rule!r}"
            )
        name, axes = rule
        _check_known(name, NAMES, f"{source}: no axis of a parameter or activation is called")
        for axis in _as_tuple(axes):
            _check_known(axis, mesh_axes, f"{source}: the rule for {name!r} names a mesh axis that there is not,")
    for name in needed:
        if name not in {each for each, _ in rules}:
            raise ConfigError(
                f"{source} has no rule for {name!r}, so every device would compute all of it: add ({name!r}, "
                f"{tuple(axis for axis in mesh_axes if axis != 'tensor')}), or ({name!r}, None) if you mean that"
            )


def _is_rule(rule: Any) -> bool:
    if not isinstance(rule, tuple | list) or len(rule) != 2 or not isinstance(rule[0], str):
        return False
    axes = rule[1]
    if axes is None or isinstance(axes, str):
        return True
    return isinstance(axes, tuple) and all(isinstance(each, str) for each in axes) and len(set(axes)) == len(axes)


def _check_known(name: str, known: Sequence[str], problem: str) -> None:
    if name not in known:
        nearest = difflib.get_close_matches(name, known, 1)
        help = f"did you mean {nearest[0]!r}?" if nearest else f"there are {', '.join(known)}"
        raise ConfigError(f"{problem} {name!r}; {help}")


def _as_tuple(axes: str | tuple[str, ...] | None) -> tuple[str, ...]:
    return (axes,) if isinstance(axes, str) else tuple(axes or ())


def param_shardings(abstract: Any, mesh: Mesh, rules: Rules, source: str = "MeshConfig.rules") -> Any:
    """One `NamedSharding` a leaf of a tree of boxed shapes (`state.abstract_params`).

    Args:
      source: what a message calls the rules.

    Raises:
      ConfigError: an axis of a parameter does not divide evenly over its mesh axes; says which, and what would.
    """
    logical = nn.get_partition_spec(abstract)
    shardings = nn.logical_to_mesh_sharding(logical, mesh, list(rules))
    leaves = jax.tree_util.tree_leaves_with_path(nn.meta.unbox(abstract))
    names = jax.tree.leaves(logical, is_leaf=lambda x: isinstance(x, PartitionSpec))
    for (path, leaf), axes, sharding in zip(leaves, names, jax.tree.leaves(shardings), strict=True):
        _check_even(jax.tree_util.keystr(path, simple=True, separator="/"), leaf.shape, axes, sharding, source)
    return shardings


def _check_even(
    name: str, shape: tuple[int, ...], logical: PartitionSpec, sharding: NamedSharding, source: str
) -> None:
    for axis, entry in enumerate(sharding.spec):
        mesh_axes, size = _as_tuple(entry), shape[axis]
        parts = math.prod(sharding.mesh.shape[mesh_axis] for mesh_axis in mesh_axes)
        if size % parts:
            fitting = [str(each) for each in range(parts, 0, -1) if size % each == 0][:_SUGGESTED]
            raise ConfigError(
                f"axis {axis} ({logical[axis]!r}) of {name} {shape} does not divide into {parts} parts, as {source} "
                f"has it (mesh axes {', '.join(mesh_axes)}): let these have {' or '.join(fitting)} "
                f"device{'s' * (fitting != ['1'])} in all, or map {logical[axis]!r} to None"
            )


def batch_sharding(mesh: Mesh, rules: Rules) -> NamedSharding:
    """Of every array of a batch: rows over the mesh axes that the rules give to `batch`."""
    return NamedSharding(mesh, nn.logical_to_mesh_axes(("batch",), list(rules)))


def check_batches(sizes: Mapping[str, int], mesh: Mesh, rules: Rules, microbatches: Mapping[str, int] = {}) -> None:
    """Raises ConfigError if a dataset's (micro)batch does not divide evenly over the devices that share it."""
    names = _as_tuple(batch_sharding(mesh, rules).spec[0])
    parts = math.prod(mesh.shape[name] for name in names)
    uneven = [name for name, size in sizes.items() if size % (parts * microbatches.get(name, 1))]
    if uneven:
        counts = {name: microbatches.get(name, 1) for name in uneven}
        listed = ", ".join(
            f"{name} ({sizes[name]})" + (f" in {count} microbatches" if count > 1 else "")
            for name, count in counts.items()
        )
        raise ConfigError(
            f"the rows of a batch, or of each microbatch, must be a multiple of {parts} on this mesh "
            f"({', '.join(names)}): {listed}"
        )


def replicated(mesh: Mesh) -> NamedSharding:
    """The same value on every device."""
    return NamedSharding(mesh, PartitionSpec())
