"""What a step measures of its parameters and of what changes them."""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import optax
from flax import traverse_util
from jaxtyping import Array, Float

from flamingo_jax.training.state import Params


def norms(title: str, tree: Params, labels: Mapping[str, str]) -> dict[str, Float[Array, ""]]:
    """`title`/label -> the global L2 norm of the leaves of that label, in the order of the tree.

    Args:
      labels: parameter path -> label; leaves without one are left out.
    """
    groups: dict[str, list[Array]] = {}
    for path, leaf in traverse_util.flatten_dict(tree, sep="/").items():
        if path in labels:
            groups.setdefault(labels[path], []).append(leaf)
    return {f"{title}/{label}": optax.tree.norm(leaves) for label, leaves in groups.items()}


def gates(params: Params) -> dict[str, Any]:
    """How far each gated cross-attention block is open: tanh of its gates (the mean, if a vector), bottom first."""
    language, found = params.get("language_model", {}), {}
    for kind in ("attention", "dense"):
        blocks = []
        for part in ("groups", "tail", "graft"):
            raw = language.get(part, {}).get("gated_cross_attention", {}).get(f"{kind}_gate")
            if raw is not None:
                blocks.append(jnp.tanh(raw).reshape(1 if part == "tail" else raw.shape[0], -1).mean(axis=1))
        if blocks:
            opened = jnp.concatenate(blocks)
            found |= {f"gate/{kind}/{layer}": opened[layer] for layer in range(opened.shape[0])}
    return found
