"""Rematerialization policies by name: which activations of a layer are kept for the backward pass.

A layer's input is always kept; what a policy does not keep is computed again. Frozen weights need no gradient, so what
only their gradients would need is not kept under any policy.

    none     everything that the gradient reads: the fastest and largest
    matmuls  the results of matrix products that the gradient reads (queries, keys, values, scores of relative
             positions, the states between a layer's two branches, hidden states before their activation): norms,
             activations and the attention's scores are computed again, no product with a weight is
    attention  queries, keys and values, and the states between the two branches; the dense branch is computed again
    full     nothing but the input: a second forward pass
"""

from collections.abc import Callable

import flax.linen as nn
import jax
from jax.ad_checkpoint import checkpoint_name

_ATTENTION = ("query", "key", "value", "attended", "branched")
_NAMES = {"matmuls": (*_ATTENTION, "bias", "hidden"), "attention": _ATTENTION, "full": ()}
POLICIES = ("none", *_NAMES)

keep = checkpoint_name
"""`keep(x, name)`: marks an activation with the name that the policies know it by."""


def rematerialized(module: type[nn.Module], policy: str, scanned: bool) -> type[nn.Module]:
    """The module's class, with `policy` in force for each of its calls.

    Args:
      scanned: whether it is the body of a scan, where XLA need not be kept from sharing the two computations.
    """
    if policy == "none":
        return module
    return nn.remat(module, prevent_cse=not scanned, policy=_policy(policy))


def _policy(name: str) -> Callable[..., bool]:
    return jax.checkpoint_policies.save_only_these_names(*_NAMES[name])
