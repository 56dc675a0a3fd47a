"""Sharding is data: logical axis names of parameters and activations -> mesh axes."""

import math
from collections.abc import Mapping
from typing import Any

import jax
from flax import linen as nn
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from flamingo_jax.config import ConfigError

Rules = tuple[tuple[str, str | tuple[str, ...] | None], ...]

# Every parameter on every device, the batch spread over all of them.
REPLICATED: Rules = (("batch", ("replica", "data", "fsdp")), ("image_batch", ("replica", "data", "fsdp")))


def param_shardings(abstract: Any, mesh: Mesh, rules: Rules) -> Any:
    """One `NamedSharding` a leaf of a tree of boxed shapes (`state.abstract_params`).

    Raises:
      ConfigError: a rule names an unknown mesh axis, or an axis of a parameter does not divide evenly over its mesh
        axes; says which, and what would.
    """
    known = {None, *mesh.axis_names}
    unknown = {name for _, axes in rules for name in ((axes,) if not isinstance(axes, tuple) else axes)} - known
    if unknown:
        raise ConfigError(
            f"sharding rules name mesh axes that there are not: {', '.join(sorted(unknown))}; "
            f"the mesh has {', '.join(mesh.axis_names)}"
        )
    shardings = nn.logical_to_mesh_sharding(nn.get_partition_spec(abstract), mesh, list(rules))
    leaves = jax.tree_util.tree_leaves_with_path(nn.meta.unbox(abstract))
    for (path, leaf), sharding in zip(leaves, jax.tree.leaves(shardings), strict=True):
        _check_even(jax.tree_util.keystr(path, simple=True, separator="/"), leaf.shape, sharding)
    return shardings


def _check_even(name: str, shape: tuple[int, ...], sharding: NamedSharding) -> None:
    for axis, entry in enumerate(sharding.spec):
        names = (entry,) if isinstance(entry, str) else entry or ()
        parts = math.prod(sharding.mesh.shape[mesh_axis] for mesh_axis in names)
        if shape[axis] % parts:
            raise ConfigError(
                f"axis {axis} of {name} {shape} does not divide into {parts} parts (mesh axes {', '.join(names)}): "
                f"use a divisor of {shape[axis]} there, or map its logical axis to None in the sharding rules"
            )


def batch_sharding(mesh: Mesh, rules: Rules) -> NamedSharding:
    """Of every array of a batch: rows over the mesh axes that the rules give to `batch`."""
    return NamedSharding(mesh, nn.logical_to_mesh_axes(("batch",), list(rules)))


def check_batches(sizes: Mapping[str, int], mesh: Mesh, rules: Rules, microbatches: Mapping[str, int] = {}) -> None:
    """Raises ConfigError if a dataset's (micro)batch does not divide evenly over the devices that share it."""
    entry = batch_sharding(mesh, rules).spec[0]
    names = (entry,) if isinstance(entry, str) else entry or ()
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
