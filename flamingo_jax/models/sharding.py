"""Where activations lie: their axes have logical names, which a run's sharding rules map to mesh axes."""

import math

import jax
from flax import linen as nn
from jax.sharding import PartitionSpec
from jaxtyping import Array, Shaped


def constrain(x: Shaped[Array, "..."], *names: str | None) -> Shaped[Array, "..."]:
    """`x`, laid out as the rules in force say of axes of these names (None: on no mesh axis).

    An axis that does not divide evenly is cut by as many of its mesh axes, from the first on, as divide it: what an
    activation measures comes from the batch and may be odd. Without rules or a mesh `x` stays as it is.
    """
    if jax.sharding.get_abstract_mesh().empty or not nn.get_logical_axis_rules():
        return x
    return jax.lax.with_sharding_constraint(x, spec(x.shape, *names))


def spec(shape: tuple[int, ...], *names: str | None) -> PartitionSpec:
    """How the rules in force cut an array of this shape over the mesh in force, as `constrain` has it."""
    mesh, rules = jax.sharding.get_abstract_mesh(), nn.get_logical_axis_rules()
    axes = nn.logical_to_mesh_axes(names, rules) if rules else [None] * len(names)
    return PartitionSpec(*map(_dividing, shape, axes, [mesh] * len(shape)))


def parts_of(name: str, size: int = 0) -> int:
    """Over how many devices `constrain` spreads an axis of this name and size (0: one that divides over all of them);
    1 without rules or a mesh."""
    mesh, rules = jax.sharding.get_abstract_mesh(), nn.get_logical_axis_rules()
    if mesh.empty or not rules:
        return 1
    (axes,) = nn.logical_to_mesh_axes((name,), rules)
    return math.prod(mesh.shape[axis] for axis in _dividing(size, axes, mesh) or ())


def _dividing(size: int, axes: str | tuple[str, ...] | None, mesh: jax.sharding.AbstractMesh) -> tuple[str, ...] | None:
    axes = (axes,) if isinstance(axes, str) else tuple(axes or ())
    while size % math.prod(mesh.shape[axis] for axis in axes):
        axes = axes[:-1]
    return axes or None


def text_states(x: Shaped[Array, "batch length width"]) -> Shaped[Array, "batch length width"]:
    """The states between the branches of a decoder: rows by `batch`, and positions by `activation_length`, which a rule
    may give to the axis of tensor parallelism: what is not a matrix product is then done once and not on each of its
    devices (sequence parallelism: Korthikanti et al., 2022)."""
    return constrain(x, "batch", "activation_length", "activation_embed")


def image_states(x: Shaped[Array, "batch tokens width"]) -> Shaped[Array, "batch tokens width"]:
    """The states between the branches of a vision transformer: each device keeps to its own images and gathers the
    weights that it lacks. Left to itself XLA may gather the images instead, and sum activations over all devices."""
    return constrain(x, "image_batch", None, None)
