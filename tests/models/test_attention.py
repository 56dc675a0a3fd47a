"""Masks against brute force on random layouts, and attention against the definition."""

import jax.numpy as jnp
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from flamingo_jax.models.attention import attention
from flamingo_jax.models.language.positions import rotary
from flamingo_jax.models.masks import causal_mask, image_causal_mask


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_image_causal_mask_is_the_paper_s(data):
    images, latents = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 3))
    index = np.array(data.draw(st.lists(st.integers(0, images), min_size=1, max_size=9)))[None]
    first = np.array([[data.draw(st.integers(1, max(1, last))) if last else 1 for last in index[0]]])
    only_last = np.asarray(image_causal_mask(jnp.asarray(index), images, latents).dense())
    ranged = np.asarray(image_causal_mask(jnp.asarray(index), images, latents, jnp.asarray(first)).dense())
    for token in range(index.shape[1]):
        for image in range(images):
            for latent in range(latents):
                key = image * latents + latent
                assert only_last[0, 0, token, key] == (index[0, token] == image + 1)
                assert ranged[0, 0, token, key] == (first[0, token] <= image + 1 <= index[0, token])


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=9).map(sorted))
def test_causal_mask_keeps_segments_apart(segments):
    mask = np.asarray(causal_mask(jnp.asarray([segments])).dense())[0, 0]
    for query, mine in enumerate(segments):
        for key, other in enumerate(segments):
            assert mask[query, key] == (key <= query and mine == other and other != 0)


def test_attention_is_the_definition_and_blind_rows_are_zero():
    rng = np.random.default_rng(0)
    query = rng.normal(size=(2, 3, 4, 8)).astype(np.float32)
    key, value = (rng.normal(size=(2, 5, 2, 8)).astype(np.float32) for _ in range(2))
    mask = rng.random((2, 1, 3, 5)) < 0.6
    mask[0, 0, 1] = False
    out = np.asarray(attention(query, key, value, jnp.asarray(mask)))
    for batch in range(2):
        for place in range(3):
            for head in range(4):
                seen = np.flatnonzero(mask[batch, 0, place])
                if not len(seen):
                    assert (out[batch, place, head] == 0).all()
                    continue
                scores = key[batch, seen, head // 2] @ query[batch, place, head] / np.sqrt(8)
                weights = np.exp(scores - scores.max())
                expected = weights / weights.sum() @ value[batch, seen, head // 2]
                np.testing.assert_allclose(out[batch, place, head], expected, rtol=1e-5, atol=1e-6)


def test_rotary_scores_depend_on_distance_alone():
    rng = np.random.default_rng(0)
    query, key = rng.normal(size=(2, 1, 1, 1, 16)).astype(np.float32)
    frequencies = 1e4 ** -(np.arange(8, dtype=np.float32) / 8)

    def score(a, b):
        return float(jnp.sum(rotary(query, jnp.array([[a]]), frequencies) * rotary(key, jnp.array([[b]]), frequencies)))

    assert abs(score(7, 3) - score(104, 100)) < 1e-4
    assert abs(score(7, 3) - score(7, 5)) > 1e-3
