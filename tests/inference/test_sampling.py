"""Samples against the distribution they are to be of, and the tokens that top-k and top-p leave."""

import functools

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from flamingo_jax.inference.decoding import Decoding
from flamingo_jax.inference.sampling import draw, kept, most_likely

VOCAB = 12


def keys(count: int, seed: int = 0) -> np.ndarray:
    return np.stack([np.full(count, seed), np.arange(count)], axis=1).astype(np.uint32)


@functools.cache
def drawing(decoding: Decoding):
    return jax.jit(lambda logits, keys, step: draw(logits, decoding, keys, step))


def softmax(logits: np.ndarray) -> np.ndarray:
    weights = np.exp(logits.astype(np.float64) - logits.max())
    return weights / weights.sum()


@pytest.mark.parametrize(
    "decoding",
    [
        Decoding("sample"),
        Decoding("sample", temperature=0.5),
        Decoding("sample", temperature=2.0, top_k=5),
        Decoding("sample", top_p=0.8),
        Decoding("sample", temperature=1.5, top_k=8, top_p=0.7),
    ],
)
def test_samples_are_of_the_distribution(decoding):
    logits = np.random.default_rng(1).normal(0, 1.5, VOCAB).astype(np.float32)
    expected = softmax(logits / decoding.temperature)
    expected *= allowed(logits, decoding)
    expected /= expected.sum()
    count = 20_000
    found = np.asarray(drawing(decoding)(np.tile(logits, (count, 1)), keys(count), 3))
    counts = np.bincount(found, minlength=VOCAB)
    assert not counts[expected == 0].any()
    some = expected > 0
    assert stats.chisquare(counts[some], count * expected[some]).pvalue > 1e-3
    other = np.bincount(np.asarray(drawing(decoding)(np.tile(logits, (count, 1)), keys(count, 1), 3)))
    assert stats.chisquare(np.pad(other, (0, VOCAB - len(other)))[some], count * expected[some]).pvalue > 1e-3


def allowed(logits: np.ndarray, decoding: Decoding) -> np.ndarray:
    """Which tokens are left, by the plainest way."""
    order = sorted(range(len(logits)), key=lambda token: (-logits[token], token))
    order = order[: decoding.top_k or len(order)]
    shares = softmax(logits[order] / decoding.temperature)
    left, total = [], 0.0
    for token, share in zip(order, shares, strict=True):
        left.append(token)
        total += share
        if total >= decoding.top_p:
            break
    return np.isin(np.arange(len(logits)), left)


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.integers(-8, 8), min_size=1, max_size=VOCAB),
    st.sampled_from([0, 1, 3, 50]),
    st.sampled_from([0.05, 0.333, 0.75, 0.999, 1.0]),
    st.sampled_from([0.7, 1.0]),
)
def test_exactly_the_right_tokens_are_left(values, top_k, top_p, temperature):
    decoding = Decoding("sample", temperature=temperature, top_k=top_k, top_p=top_p)
    logits = np.array(values, np.float32) / 3
    expected = allowed(logits, decoding)
    # Where the sum meets `top_p` to rounding, either is right.
    shares = np.sort(softmax(logits / temperature))[::-1][: top_k or None]
    near = np.abs(np.cumsum(shares / shares.sum()) - top_p).min() < 1e-5
    found, tokens = kept(logits[None], decoding)
    found = np.asarray(found)[0]
    tokens = np.arange(len(found)) if tokens is None else np.asarray(tokens)[0]
    if not near or top_p == 1:
        assert sorted(tokens[np.isfinite(found)]) == np.flatnonzero(expected).tolist()
    np.testing.assert_allclose(found[np.isfinite(found)], (logits / temperature)[tokens[np.isfinite(found)]], rtol=1e-6)


def test_a_row_draws_the_same_in_any_batch():
    logits = np.random.default_rng(0).normal(0, 1, (6, VOCAB)).astype(np.float32)
    decoding, order = Decoding("sample"), [4, 1, 5]
    everything = np.asarray(drawing(decoding)(logits, keys(6), 0))
    np.testing.assert_array_equal(drawing(decoding)(logits[order], keys(6)[order], 0), everything[order])


def test_seed_key_and_step_all_matter():
    logits, decoding = np.zeros((200, VOCAB), np.float32), Decoding("sample")
    base = np.asarray(drawing(decoding)(logits, keys(200), 0))
    assert len(np.unique(base)) == VOCAB  # each row has its own key
    for other in (drawing(decoding)(logits, keys(200, 1), 0), drawing(decoding)(logits, keys(200), 1)):
        assert 0 < np.mean(np.asarray(other) == base) < 0.3


def test_one_token_left_is_the_most_likely():
    logits = np.random.default_rng(0).normal(0, 1, (5, VOCAB)).astype(np.float32)
    for decoding in (Decoding("sample", top_k=1), Decoding("sample", top_p=1e-6)):
        np.testing.assert_array_equal(draw(logits, decoding, keys(5), 0), most_likely(logits))
