"""How every decoder begins and goes on: prompts go through the model once, then come any number of continuations."""

import dataclasses
from collections.abc import Mapping

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from flamingo_jax.inference.cache import after, empty_cache
from flamingo_jax.models.flamingo import Flamingo
from flamingo_jax.models.language.layer import Cache, Context
from flamingo_jax.models.masks import causal_mask, image_causal_mask
from flamingo_jax.models.quantized import as_variables
from flamingo_jax.models.sharding import constrain
from flamingo_jax.training.state import Params

Prompts = Mapping[str, Array]
"""What the model reads (see `Flamingo.__call__`): `tokens` and the arrays beside them, `[batch, length]`, padded with
segment 0 on either side; and `images` with `frame_mask`, or `media`, the visual tokens made of them."""

_TEXT = ("tokens", "segment_ids", "positions", "image_index", "image_first")


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Prefix:
    """Prompts that have gone through the model.

    Attributes:
      cache: keys and values of their text, by slot, and of their media.
      segment_ids: of their slots.
      last: of each prompt's last token: its segment and position, and the images that it and what follows it see.
      num_images: places for images in a row.
    """

    cache: Cache
    segment_ids: Int[Array, "batch length"]
    last: Mapping[str, Int[Array, " batch"]]
    num_images: int = dataclasses.field(metadata={"static": True})


def prefill(model: Flamingo, params: Params, prompts: Prompts) -> tuple[Float[Array, "batch vocab"], Prefix]:
    """The logits of the token after each prompt, and what continuing needs. Images are encoded here and never again."""
    variables = as_variables(params)
    text = _aligned(prompts)
    media = prompts.get("media")
    if media is None:
        media = model.apply(variables, prompts["images"], prompts["frame_mask"], method="encode_images")
    media = constrain(media, "batch", None, None)
    num_latents = model.config.resampler.num_latents
    num_images = media.shape[1] // num_latents
    seen = image_causal_mask(text["image_index"], num_images, num_latents, text["image_first"])
    context = Context(text["positions"], causal_mask(text["segment_ids"]), 0, media, seen)
    cache = empty_cache(model.config, *text["tokens"].shape)
    logits, cache = model.apply(variables, text["tokens"], context, cache, method="decode")
    last = {name: x[:, -1] for name, x in text.items() if name != "tokens"}
    return logits[:, -1], Prefix(cache, text["segment_ids"], last, num_images)


def extend(
    model: Flamingo,
    params: Params,
    prefix: Prefix,
    tokens: Int[Array, "rows length"],
    cache: Cache | None = None,
    start: Int[Array, ""] | int = 0,
    loss_chunk: int | None = None,
) -> tuple[Float[Array, "rows vocab"] | Float[Array, "rows length"], Cache | None]:
    """The logits of the token after each row's last, and the cache with the rows in it.

    Args:
      tokens: what follows the prompts; `rows` is a multiple of `batch`, and those of a prompt are neighbours.
      cache: of what followed them so far (`empty_cache`); None: nothing did.
      start: how many tokens did.
      loss_chunk: the loss of each token instead (0 for a row's first), and no cache, as `Flamingo.__call__` has it.
    """
    (batch, slots), (rows, length) = prefix.segment_ids.shape, tokens.shape
    copies = rows // batch
    if cache is None:
        cache = empty_cache(model.config, rows, length)
    room = jax.tree.leaves(cache)[0].shape[-3]

    def each(x: Int[Array, "batch ..."]) -> Int[Array, "rows ..."]:
        return jnp.repeat(x, copies, axis=0)

    def of_all(name: str, columns: int) -> Int[Array, "batch columns"]:
        return jnp.broadcast_to(prefix.last[name][:, None], (batch, columns))

    own = each(of_all("segment_ids", room))
    slot = slots + start
    mask = causal_mask(own[:, :length], jnp.concatenate([each(prefix.segment_ids), own], axis=1), slot)
    # The rows of a prompt read its media as one row of all their tokens.
    seen = image_causal_mask(
        of_all("image_index", copies * length),
        prefix.num_images,
        model.config.resampler.num_latents,
        of_all("image_first", copies * length),
    )
    positions = each(of_all("positions", length)) + 1 + start + jnp.arange(length)
    context = Context(positions, mask, slot, None, seen)
    joined = after(prefix.cache, cache)
    whole = loss_chunk is not None
    found, cache = model.apply(
        as_variables(params), tokens, context, joined, last_only=not whole, loss_chunk=loss_chunk, method="decode"
    )
    return (found if whole else found[:, -1]), cache


def _aligned(prompts: Prompts) -> dict[str, Int[Array, "batch length"]]:
    """The text of the prompts, each moved to the right until its last token is in the last slot.

    What follows then stands in the slots right after it, as the distances between tokens ask for.
    """
    text = {name: prompts[name] for name in _TEXT if name in prompts}
    text.setdefault("image_first", text["image_index"])
    used = text["segment_ids"] > 0
    length = used.shape[1]
    behind = jnp.argmax(used[:, ::-1], axis=1)  # how many slots of padding
    places = (jnp.arange(length) - behind[:, None]) % length
    return {name: constrain(jnp.take_along_axis(x, places, axis=1), "batch", None) for name, x in text.items()}
