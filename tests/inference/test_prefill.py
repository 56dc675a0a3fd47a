"""Prompts that went through the model once, and what follows them, against whole rows from scratch."""

import functools

import jax
import numpy as np
import pytest

from flamingo_jax.inference.cache import empty_cache, reorder
from flamingo_jax.inference.prefill import extend, prefill
from tests import tiny
from tests.inference import families

COPIES, NEW = 2, 3


@functools.cache
def programs(name: str):
    model = families.family(name)

    def first(params, batch):
        return prefill(model, params, batch)

    step = jax.jit(functools.partial(extend, model))

    def rest(params, prefix, tokens):
        """Logits after each token."""
        cache, logits = empty_cache(model.config, *tokens.shape), []
        for place in range(tokens.shape[1]):
            found, cache = step(params, prefix, tokens[:, place : place + 1], cache, place)
            logits.append(found)
        return jax.numpy.stack(logits, axis=1)

    return jax.jit(first), rest


@functools.cache
def forward(name: str):
    model = families.family(name)
    return jax.jit(lambda params, rows: model.apply({"params": params}, **rows, images=None, frame_mask=None))


@pytest.mark.parametrize("name", ["rotary", "windows", "alibi", "relative"])
def test_several_continuations_of_a_prompt_are_as_whole_rows(name):
    model = families.family(name)
    params = families.parameters(model)
    batch = families.prompts(model.config, seen_all=name in ("windows", "alibi"))
    tokens = np.random.default_rng(0).integers(0, tiny.LANGUAGE.vocab_size, (3, COPIES, NEW)).astype(np.int32)
    first, rest = programs(name)
    logits, prefix = first(params, batch)
    after = np.asarray(rest(params, prefix, tokens.reshape(-1, NEW))).reshape(3, COPIES, NEW, -1)
    for copy in range(COPIES):
        whole = np.asarray(forward(name)(params, families.with_continuations(batch, tokens[:, copy])))
        for row, length in enumerate(families.LENGTHS):
            expected = whole[row, length - 1 : length + NEW]
            np.testing.assert_allclose(logits[row], expected[0], atol=2e-5)
            np.testing.assert_allclose(after[row, copy], expected[1:], atol=2e-5)


def test_padding_on_either_side_is_the_same_to_the_bit():
    model = families.family("alibi")  # whose scores know how far slots are apart
    params, (first, rest) = families.parameters(model), programs("alibi")
    tokens = np.arange(18, dtype=np.int32).reshape(6, 3)
    found = []
    for before in (None, (0, 0, 0), (2, 0, 1)):
        logits, prefix = first(params, families.prompts(model.config, before=before))
        found.append((logits, rest(params, prefix, tokens)))
    for other in found[1:]:
        jax.tree.map(np.testing.assert_array_equal, other, found[0])


def test_images_may_come_as_pictures():
    model = families.family("rotary")
    params, batch = families.parameters(model), families.prompts(model.config)
    pictures = {
        "images": np.random.default_rng(0).integers(0, 256, (3, 2, 1, 32, 32, 3)).astype(np.uint8),
        "frame_mask": np.ones((3, 2, 1), bool),
    }
    encode = jax.jit(functools.partial(model.apply, method="encode_images"))
    media = encode({"params": params}, **pictures)
    del batch["media"]
    first = programs("rotary")[0]
    shown, _ = first(params, batch | pictures)
    known, _ = first(params, batch | {"media": media})
    np.testing.assert_allclose(shown, known, atol=1e-5)


def test_the_prompt_and_its_media_are_there_once():
    model = families.family("rotary")
    batch = families.prompts(model.config)
    _, prefix = jax.eval_shape(functools.partial(prefill, model), families.parameters(model), batch)
    rows = {leaf.shape[-4] for leaf in jax.tree.leaves(prefix.cache)}
    assert rows == {3}
    tokens = np.zeros((30, 1), np.int32)
    _, cache = jax.eval_shape(functools.partial(extend, model), families.parameters(model), prefix, tokens)
    assert {leaf.shape[-4:-2] for leaf in jax.tree.leaves(cache)} == {(30, 1)}  # the new tokens, and nothing else
    assert prefix.cache.keys() == cache.keys() and "media" in prefix.cache["groups"] and "media" not in cache["groups"]


def test_reordered_rows_stay_with_their_prompt():
    cache = empty_cache(tiny.CONFIG, 6, 2)
    cache = jax.tree.map(lambda x: x + np.arange(6, dtype=np.float32)[:, None, None, None], cache)
    moved = reorder(cache, np.array([[2, 2, 0], [0, 2, 1]]))
    for leaf in jax.tree.leaves(moved):
        rows = np.moveaxis(np.asarray(leaf), -4, 0).reshape(6, -1)
        assert (rows == np.array([2, 2, 0, 3, 5, 4])[:, None]).all()
