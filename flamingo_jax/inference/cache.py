"""The key-value cache of decoding, in two parts: the prompt's, made once and only read, and that of what follows it.

A prompt may be continued in several ways at once, as beams or candidates do. Its keys and values, and those of its
images, are there once for all of them; each has slots of its own for its new tokens alone, so reordering beams moves
little.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int

from flamingo_jax.models.flamingo import FlamingoConfig
from flamingo_jax.models.language.layer import Cache
from flamingo_jax.models.sharding import constrain

_LAYER = {"key", "value"}
_ROWS = -4  # the axis of rows in every array: [layers ..., rows, slots, heads, head_dim]


def empty_cache(config: FlamingoConfig, rows: int, slots: int) -> Cache:
    """Room for `slots` tokens in each row.

    The tree follows the decoder's parts (`head`, `groups`, ...). Images are not in it: the first call of the model
    returns their keys and values as `media`.
    """
    language, plan = config.language, config.plan

    def layers(*lead: int) -> Cache:
        shape = (*lead, rows, slots, language.num_kv_heads, language.head_dim)
        axes = (*(None for _ in lead), "batch", None, "kv_heads", None)
        return {name: constrain(jnp.zeros(shape, config.dtype), *axes) for name in sorted(_LAYER)}

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


def after(prompt: Cache, cache: Cache) -> Cache:
    """What the model takes for tokens that follow the prompts: `cache`, with that of the prompts to be read."""
    if cache.keys() == _LAYER:
        return {**cache, "prefix": prompt}
    joined = {name: after(prompt[name], part) for name, part in cache.items()}
    return joined | ({"media": prompt["media"]} if "media" in prompt else {})


def reorder(cache: Cache, parents: Int[Array, "batch beams"]) -> Cache:
    """The cache whose rows go on from those of `parents`: beams of the same prompt, by their place in it.

    Rows of a prompt are neighbours. None moves to another prompt, and so none to another device.
    """
    batch, beams = parents.shape

    def moved(x: Array) -> Array:
        lead, rest = x.shape[:_ROWS], x.shape[_ROWS + 1 :]
        x = x.reshape(*lead, batch, beams, *rest)
        index = parents.reshape((1,) * len(lead) + parents.shape + (1,) * len(rest))
        return jnp.take_along_axis(x, index, axis=len(lead) + 1).reshape(*lead, batch * beams, *rest)

    return jax.tree.map(moved, cache)
