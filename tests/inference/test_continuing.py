"""Greedy decoding with a cache against the plainest way: run the whole model again for every new token."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flamingo_jax.inference.continuing import fill, make_continuing
from flamingo_jax.inference.decoding import Decoding
from flamingo_jax.models.flamingo import Flamingo
from tests import tiny

NEW = 6
LENGTHS, PADDED = (3, 8, 5), 8
# Per row the image that each token of the prompt sees: none at all, one, and two.
SEEN = ((0, 0, 0), (0, 0, 0, 1, 1, 1, 1, 1), (1, 1, 2, 2, 2))


def language(layers: int) -> Flamingo:
    return dataclasses.replace(tiny.LANGUAGE, num_layers=layers)


PLANS = {
    "head, groups and tail": tiny.config(language=language(4), cross_attention_first=1),
    "groups": tiny.config(language=language(4)),
    "tail": tiny.config(language=language(2), cross_attention_every=3),
}


def parameters(model: Flamingo) -> dict:
    """Random ones, with `<EOC>` no more likely than other tokens."""
    params = tiny.init(model, seed=3)
    params["language_model"]["new_rows"] = 0.3 * params["language_model"]["new_rows"]
    return params


def continuing(model: Flamingo, stops: tuple[int, ...] = ()):
    return jax.jit(make_continuing(model, Decoding(max_new_tokens=NEW), stops))


def prompts(seed: int = 3) -> dict:
    """Three prompts, padded on the left; a row's places for images that it does not have are masked."""
    rng = np.random.default_rng(seed)
    names = ("segment_ids", "positions", "image_index", "image_first")
    batch = {name: np.zeros((3, PADDED), np.int32) for name in names}
    batch["tokens"] = np.full((3, PADDED), 1, np.int32)
    for row, (length, seen) in enumerate(zip(LENGTHS, SEEN, strict=True)):
        used = slice(PADDED - length, PADDED)
        batch["tokens"][row, used] = rng.integers(0, tiny.LANGUAGE.vocab_size + 1, length)
        batch["image_index"][row, used] = batch["image_first"][row, used] = seen
        batch["segment_ids"][row, used], batch["positions"][row, used] = 1, np.arange(length)
    batch["images"] = rng.integers(0, 256, (3, 2, 2, 32, 32, 3)).astype(np.uint8)
    batch["frame_mask"] = np.zeros((3, 2, 2), bool)
    batch["frame_mask"][1, 0] = batch["frame_mask"][2] = True
    batch["frame_mask"][2, 1, 1] = False
    return batch


def brute_force(model: Flamingo, params: dict, batch: dict) -> np.ndarray:
    """Each row from position 0 on, padded on the right; the whole sequence anew for every token."""
    shape = (3, PADDED + NEW)
    inputs = {name: np.zeros(shape, np.int32) for name in ("tokens", "segment_ids", "image_index", "image_first")}
    inputs["positions"] = np.broadcast_to(np.arange(shape[1], dtype=np.int32), shape)
    inputs |= {name: batch[name] for name in ("images", "frame_mask")}
    for row, length in enumerate(LENGTHS):
        inputs["tokens"][row, :length] = batch["tokens"][row, -length:]
        for name in ("image_index", "image_first"):
            inputs[name][row, :length] = batch[name][row, -length:]
            inputs[name][row, length:] = batch[name][row, -1]
        inputs["segment_ids"][row, :length] = 1
    out = np.zeros((3, NEW), np.int32)
    for step in range(NEW):
        logits = tiny.forward(model)({"params": params}, **inputs)
        for row, length in enumerate(LENGTHS):
            out[row, step] = np.argmax(logits[row, length + step - 1])
            inputs["tokens"][row, length + step] = out[row, step]
            inputs["segment_ids"][row, length + step] = 1
    return out


@pytest.mark.parametrize("plan", PLANS)
def test_the_cache_changes_nothing(plan):
    model = Flamingo(PLANS[plan])
    shape = model.config.plan
    assert (shape.head > 0, shape.groups > 0, shape.tail > 0) == tuple(part in plan for part in ("head", "gr", "tail"))
    params, batch = parameters(model), prompts()
    free = brute_force(model, params, batch)
    greedy = continuing(model)
    np.testing.assert_array_equal(greedy(params, batch).tokens, free)
    assert len(np.unique(free)) > 4  # or the comparison would say little
    black = batch | {"images": np.zeros_like(batch["images"])}
    changed = (np.asarray(greedy(params, black).tokens) != free).any(axis=1)
    assert not changed[0]  # it has no image
    assert changed[1:].any()


# Every way in which positions enter the scores, and what else a cache could get wrong.
FAMILIES = {
    "windows": {"windows": (3, 0), "local_rope_theta": 100.0, "qk_norm": "head", "attention_softcap": 5.0},
    "learned": {"positions": "learned", "norm": "layer", "position_offset": 2, "gated_dense": False},
    "alibi": {"positions": "alibi", "norm": "layer_no_bias", "windows": (6,)},
    "relative": {"positions": "relative", "num_kv_heads": 4, "parallel_residual": True},
}


@pytest.mark.parametrize("family", FAMILIES)
def test_the_cache_changes_nothing_in_other_decoders(family):
    language = dataclasses.replace(tiny.LANGUAGE, **FAMILIES[family])
    model = Flamingo(tiny.config(language=dataclasses.replace(language, num_layers=4)))
    params, batch = parameters(model), prompts()
    # All images so far, rather than the last.
    batch["image_first"] = np.minimum(batch["image_index"], 1)
    free = brute_force(model, params, batch)
    np.testing.assert_array_equal(continuing(model)(params, batch).tokens, free)
    assert len(np.unique(free)) > 4


def test_stop_tokens_end_rows_each_in_its_own_time():
    model = Flamingo(PLANS["head, groups and tail"])
    params, batch = parameters(model), prompts()
    free = brute_force(model, params, batch)
    stops = (int(free[0, 0]), int(free[1, 2]), int(free[2, 3]), 9_999)
    out = np.asarray(continuing(model, stops)(params, batch).tokens)
    ended = set()
    for row in range(3):
        end = next(place for place, token in enumerate(free[row]) if token in stops)
        ended.add(end)
        np.testing.assert_array_equal(out[row, : end + 1], free[row, : end + 1])
        assert (out[row, end:] == free[row, end]).all()
    assert len(ended) > 1 and max(ended) < NEW - 1  # it is over early, but not at once


def test_what_follows_a_stop_is_that_stop():
    out = jnp.asarray([[5, 1, 6, 2, 7], [2, 1, 5, 5, 5], [5, 5, 5, 5, 5], [5, 6, 7, 8, 1]])
    expected = [[5, 1, 1, 1, 1], [2, 2, 2, 2, 2], [5, 5, 5, 5, 5], [5, 6, 7, 8, 1]]
    np.testing.assert_array_equal(fill(out, jnp.asarray([1, 2])), expected)
    np.testing.assert_array_equal(fill(out, jnp.zeros(0, jnp.int32)), out)
