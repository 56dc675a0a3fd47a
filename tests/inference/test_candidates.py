"""Candidates after a shared prefix against whole rows from scratch; and how they are cut into parts."""

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flamingo_jax.inference.candidates import Candidates, make_candidate_scorer, parts
from flamingo_jax.inference.prefill import prefill
from tests import tiny
from tests.inference import families


@pytest.mark.parametrize("name", ["rotary", "relative"])
def test_the_shared_prefix_changes_nothing(name):
    model = families.family(name)
    params, batch, rng = families.parameters(model), families.prompts(model.config), np.random.default_rng(0)
    tokens = rng.integers(0, tiny.LANGUAGE.vocab_size + 1, (3, 5, 4)).astype(np.int32)
    counts = np.array([[1, 2, 3, 4, 4], [4, 4, 4, 1, 1], [2, 3, 2, 3, 2]], np.int32)
    tokens *= np.arange(4) < counts[:, :, None]  # padding
    logits, prefix = jax.jit(lambda *given: prefill(model, *given))(params, batch)
    found = np.asarray(jax.jit(make_candidate_scorer(model))(params, prefix, logits, tokens, counts))
    for place in range(5):
        losses = families.losses_of(model)(params, families.with_continuations(batch, tokens[:, place]))
        for row, length in enumerate(families.LENGTHS):
            expected = -np.asarray(losses)[row, length : length + counts[row, place]].sum()
            assert found[row, place] == pytest.approx(expected, rel=1e-5, abs=1e-5)


def test_of_one_token_each_the_prompts_logits_tell_all():
    model = families.family("rotary")
    params, batch = families.parameters(model), families.prompts(model.config)
    logits, prefix = jax.jit(lambda *given: prefill(model, *given))(params, batch)
    tokens = np.tile(np.arange(tiny.LANGUAGE.vocab_size + 1, dtype=np.int32), (3, 1))[..., None]
    found = make_candidate_scorer(model)(params, prefix, logits, tokens, np.ones(tokens.shape[:2], np.int32))
    np.testing.assert_allclose(np.exp(found).sum(axis=1), 1, rtol=1e-5)


lists = st.lists(st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=9), min_size=1, max_size=12), min_size=1)


@given(lists, st.integers(1, 200))
def test_parts_hold_every_candidate_once_and_are_of_bounded_size(candidates, at_once):
    found = [[None] * len(row) for row in candidates]
    for part in parts(candidates, at_once):
        batch, some, length = part.tokens.shape
        assert part.places.shape == part.counts.shape == (batch, some) and batch == len(candidates)
        assert some == 1 or batch * some * length <= at_once
        for row in range(batch):
            for place, tokens, count in zip(part.places[row], part.tokens[row], part.counts[row], strict=True):
                assert 1 <= count <= length
                if place >= 0:
                    assert found[row][place] is None
                    found[row][place] = tokens[:count].tolist()
    assert found == candidates


def test_a_thousand_classes_take_few_shapes():
    rng = np.random.default_rng(0)
    names = [[5] * int(length) for length in rng.integers(1, 11, 1000)]
    shapes = [part.tokens.shape for part in parts([names] * 16)]
    assert max(np.prod(shape) for shape in shapes) <= 1024
    assert len(set(shapes)) <= 8
    assert sum(np.prod(shape) for shape in shapes) < 1.35 * 16 * sum(map(len, names))
    assert [part.tokens.shape for part in parts([[[1, 2], [3]]] * 16)] == [(16, 2, 2)]  # few go together


def test_means_are_per_token():
    found = Candidates(np.array([-2.0, -9.0]), np.array([1, 3]))
    np.testing.assert_array_equal(found.means, [-2, -3])
