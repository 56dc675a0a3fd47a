"""What arrays a checkpoint holds, and how they are asked for."""

from collections.abc import Mapping

import jax

from flamingo_jax.training.health import Health, healthy
from flamingo_jax.training.state import TrainState


def arrays_of(state: TrainState) -> dict[str, str]:
    """Path of each array -> what it is: `float32[24,16]`."""
    leaves = jax.tree_util.tree_leaves_with_path(state._asdict())
    return {
        jax.tree_util.keystr(path, simple=True, separator="/"): f"{leaf.dtype}{list(leaf.shape)}".replace(" ", "")
        for path, leaf in leaves
    }


def saved_health(arrays: Mapping[str, str], like: Health) -> Health:
    """The shapes of what a checkpoint with these arrays holds, with the shardings of `like`."""
    names = [path.removeprefix("health/mean/") for path in arrays if path.startswith("health/mean/")]
    return jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=like.skipped.sharding), healthy(names)
    )
