"""Greedy decoding with a key-value cache: one compiled program for the prompt and all new tokens."""

from collections.abc import Callable, Mapping, Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int

from flamingo_jax.inference.cache import empty_cache
from flamingo_jax.models.flamingo import Flamingo
from flamingo_jax.models.language.layer import Context
from flamingo_jax.models.masks import causal_mask, image_causal_mask
from flamingo_jax.models.quantized import as_variables
from flamingo_jax.training.state import Params


def make_greedy(
    model: Flamingo, max_new_tokens: int, stop_ids: Sequence[int]
) -> Callable[[Params, Mapping[str, Array]], Int[Array, "batch new"]]:
    """A function of (parameters, prompts) that returns the most likely continuation, token by token.

    The prompts are padded on the left (`prompts.prompt_batch`). A row ends at the first of `stop_ids`, which is kept
    and fills the rest.
    """
    stops = jnp.asarray(list(stop_ids), jnp.int32)
    num_latents = model.config.resampler.num_latents

    def generate(params: Params, prompt: Mapping[str, Array]) -> Int[Array, "batch new"]:
        variables = as_variables(params)
        batch, length = prompt["tokens"].shape
        num_images = prompt["images"].shape[1]
        slots = length + max_new_tokens
        cache = empty_cache(model.config, batch, slots)
        segments = jnp.concatenate(
            [prompt["segment_ids"], jnp.ones((batch, max_new_tokens), prompt["segment_ids"].dtype)], axis=1
        )

        def media_mask(part):
            last, first = prompt["image_index"][:, part], prompt["image_first"][:, part]
            return image_causal_mask(last, num_images, num_latents, first)

        media = model.apply(variables, prompt["images"], prompt["frame_mask"], method="encode_images")
        self_mask = causal_mask(prompt["segment_ids"], segments)
        context = Context(prompt["positions"], self_mask, 0, media, media_mask(slice(None)))
        logits, cache = model.apply(variables, prompt["tokens"], context, cache, method="decode")
        # New tokens go on from the prompt's last position, and see the images that its last token sees.
        position, last_mask = prompt["positions"][:, -1:], media_mask(slice(-1, None))

        def pick(logits):
            return jnp.argmax(logits[:, -1], axis=-1).astype(jnp.int32)

        def more(carry):
            step, _, _, done, _ = carry
            return (step < max_new_tokens) & ~jnp.all(done)

        def advance(carry):
            step, token, out, done, cache = carry  # `done` rows stop moving: their last token stays
            slot = length + step - 1
            mask = causal_mask(jnp.ones((batch, 1), jnp.int32), segments, slot)
            context = Context(position + step, mask, slot, None, last_mask)
            logits, cache = model.apply(variables, token[:, None], context, cache, method="decode")
            token = jnp.where(done, token, pick(logits))
            return step + 1, token, out.at[:, step].set(token), done | jnp.isin(token, stops), cache

        first = pick(logits)
        out = jnp.broadcast_to(first[:, None], (batch, max_new_tokens))
        _, _, out, _, _ = jax.lax.while_loop(
            more, advance, (jnp.ones((), jnp.int32), first, out, jnp.isin(first, stops), cache)
        )
        return _repeat_last(out, stops)

    return jax.jit(generate)


def _repeat_last(out: Int[Array, "batch new"], stops: Int[Array, "stops"]) -> Int[Array, "batch new"]:
    """Fills what follows a row's first stop token with that token."""
    stopped = jnp.isin(out, stops)
    first = jnp.argmax(stopped, axis=1)
    ended = jnp.any(stopped, axis=1, keepdims=True) & (jnp.arange(out.shape[1]) > first[:, None])
    return jnp.where(ended, jnp.take_along_axis(out, first[:, None], axis=1), out)
