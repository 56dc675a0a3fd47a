"""The key-value cache of decoding: self-attention keys and values by slot, and those of the images, made once."""

import jax.numpy as jnp

from flamingo_jax.models.flamingo import FlamingoConfig
from flamingo_jax.models.language.layer import Cache


def empty_cache(config: FlamingoConfig, batch: int, slots: int) -> Cache:
    """Room for `slots` tokens in each of `batch` rows.

    The tree follows the decoder's parts (`head`, `groups`, ...). Images are not in it yet: the first call of
    the model adds them as `media`.
    """
    language, plan = config.language, config.plan
    shape = (batch, slots, language.num_kv_heads, language.head_dim)

    def layers(*lead: int) -> Cache:
        return {name: jnp.zeros((*lead, *shape), config.dtype) for name in ("key", "value")}

    cache: Cache = {}
    if plan.head:
        cache["head"] = layers(plan.head)
    if plan.groups:
        cache["groups"] = {"layers": layers(plan.groups, plan.every)}
    if plan.tail:
        cache["tail"] = {"layers": layers(plan.tail)}
    if plan.graft:
        cache["graft"] = {"layers": layers(plan.graft, 1)}
    return cache
