"""Tiny models whose positions enter the scores in every way there is, and prompts for them."""

import dataclasses
import functools

import jax
import numpy as np

from flamingo_jax.models.flamingo import Flamingo, FlamingoConfig
from tests import tiny

ROTARY = dataclasses.replace(tiny.LANGUAGE, num_layers=3)
# What else a cache could get wrong than the rotary positions of the others.
FAMILIES = {
    "windows": {"windows": (3, 0), "local_rope_theta": 100.0, "qk_norm": "head", "attention_softcap": 5.0},
    "learned": {"positions": "learned", "norm": "layer", "position_offset": 2, "gated_dense": False},
    "alibi": {"positions": "alibi", "norm": "layer_no_bias", "windows": (6,)},
    "relative": {"positions": "relative", "num_kv_heads": 4, "parallel_residual": True},
}
PLAN = {"cross_attention_first": 1}  # a bare layer and a group


@functools.cache
def family(name: str) -> Flamingo:
    """A model of `FAMILIES`, or "rotary"."""
    language = dataclasses.replace(ROTARY, **FAMILIES.get(name, {}))
    return Flamingo(tiny.config(language=language, **PLAN))


def parameters(model: Flamingo, seed: int = 3) -> dict:
    """Random ones, with `<EOC>` no more likely than other tokens."""
    params = tiny.init(model, seed)
    params["language_model"]["new_rows"] = 0.3 * params["language_model"]["new_rows"]
    return params


LENGTHS, PADDED, LAST = (3, 8, 5), 8, 2
# Per row the image that each token of the prompt sees: none at all, one, and two.
SEEN = ((0, 0, 0), (0, 0, 0, 1, 1, 1, 1, 1), (1, 1, 2, 2, 2))


def prompts(
    config: FlamingoConfig, seed: int = 3, before: tuple[int, ...] | None = None, seen_all: bool = False
) -> dict:
    """Three prompts with the visual tokens of two images each.

    Args:
      before: slots of padding before each, the others come after it; None: all of them.
    """
    rng = np.random.default_rng(seed)
    names = ("segment_ids", "positions", "image_index", "image_first")
    batch = {name: np.zeros((3, PADDED), np.int32) for name in names}
    batch["tokens"] = np.full((3, PADDED), 1, np.int32)
    for row, (length, seen) in enumerate(zip(LENGTHS, SEEN, strict=True)):
        start = PADDED - length if before is None else before[row]
        used = slice(start, start + length)
        batch["tokens"][row, used] = rng.integers(0, config.language.vocab_size + 1, length)
        batch["image_index"][row, used] = seen
        batch["image_first"][row, used] = np.minimum(seen, 1) if seen_all else seen
        batch["segment_ids"][row, used], batch["positions"][row, used] = 1, np.arange(length)
    shape = (3, LAST * config.resampler.num_latents, config.language.width)
    batch["media"] = rng.normal(0, 1, shape).astype(np.float32)
    return batch


@functools.cache
def losses_of(model: Flamingo):
    """The compiled loss of each token of some rows, from scratch."""

    def losses(params, rows):
        return model.apply({"params": params}, **rows, images=None, frame_mask=None, loss_chunk=0)

    return jax.jit(losses)


def with_continuations(batch: dict, continuations: np.ndarray) -> dict:
    """Rows from position 0 on: each prompt (padded on the left), then its continuation, then padding."""
    width = PADDED + continuations.shape[1]
    rows = {name: np.zeros((3, width), np.int32) for name in batch if name != "media"}
    for row, length in enumerate(LENGTHS):
        used = slice(0, length + continuations.shape[1])
        for name, value in rows.items():
            value[row, :length] = batch[name][row, -length:]
            value[row, length : used.stop] = batch[name][row, -1]
        rows["tokens"][row, length : used.stop] = continuations[row]
        rows["positions"][row, used] = np.arange(used.stop)
    return rows | {"media": batch["media"]}
