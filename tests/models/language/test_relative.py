"""Transformer-XL's relative attention against its definition, written out in NumPy loops over pairs of tokens."""

import math

import jax
import numpy as np
from flax import linen as nn

from flamingo_jax.models.language.decoder import Decoder
from flamingo_jax.models.language.decoder_config import DecoderConfig
from flamingo_jax.models.language.layer import Context
from flamingo_jax.models.language.plan import LayerPlan
from flamingo_jax.models.masks import causal_mask

CHINCHILLA = DecoderConfig(
    31, 24, 2, 3, 3, 10, 40, positions="relative", gated_dense=False, activation="gelu", norm_eps=1e-6
)
MODEL = Decoder(CHINCHILLA, LayerPlan(2))
LENGTH = 9


def context(segments: np.ndarray) -> Context:
    positions = np.zeros_like(segments)
    for row, ids in enumerate(segments):
        for segment in set(ids.tolist()) - {0}:
            places = np.flatnonzero(ids == segment)
            positions[row, places] = np.arange(len(places))
    return Context(positions, causal_mask(segments))


def random_params() -> dict:
    rng = np.random.default_rng(0)
    shapes = jax.eval_shape(
        lambda: MODEL.init(jax.random.key(0), np.zeros((1, 1), int), context(np.ones((1, 1), np.int32)))
    )
    params = jax.tree.map(lambda leaf: rng.normal(0, 0.4, leaf.shape).astype(np.float32), nn.meta.unbox(shapes))
    return params["params"]


def rms(x, scale):
    return x / np.sqrt(np.mean(x**2, axis=-1, keepdims=True) + CHINCHILLA.norm_eps) * scale


def gelu(x):
    return 0.5 * x * (1 + np.vectorize(math.erf)(x / np.sqrt(2)))


def encoding(distance: int) -> np.ndarray:
    """R_{i-j} of Dai et al. (2019): the sines, then the cosines, of one distance."""
    angles = distance / 10_000.0 ** (np.arange(0, CHINCHILLA.width, 2) / CHINCHILLA.width)
    return np.concatenate([np.sin(angles), np.cos(angles)])


def brute_force(params: dict, tokens: np.ndarray, segments: np.ndarray) -> np.ndarray:
    """Logits of one row, in float64; each score is the sum of the paper's four terms (equation 5)."""
    params = jax.tree.map(lambda x: x.astype(np.float64), params)
    x = params["embedding"][tokens]
    for index in range(CHINCHILLA.num_layers):
        layer = jax.tree.map(lambda leaf, i=index: leaf[i], params["head"])
        states = rms(x, layer["attention_norm"]["scale"])
        attended = np.zeros_like(x)
        for head in range(CHINCHILLA.num_heads):
            query, key, value, way = (
                layer[name]["kernel"][:, head] for name in ("query", "key", "value", "relative_key")
            )
            content, position = layer["content_bias"][head], layer["position_bias"][head]
            for i in range(len(tokens)):
                seen = [j for j in range(i + 1) if segments[j] == segments[i] and segments[j]]
                if not seen:
                    continue
                q = states[i] @ query
                scores = np.array(
                    [
                        q @ (states[j] @ key)
                        + q @ (encoding(i - j) @ way)
                        + content @ (states[j] @ key)
                        + position @ (encoding(i - j) @ way)
                        for j in seen
                    ]
                ) / np.sqrt(CHINCHILLA.head_dim)
                weights = np.exp(scores - scores.max())
                weights /= weights.sum()
                mixed = sum(weight * (states[j] @ value) for weight, j in zip(weights, seen, strict=True))
                attended[i] += mixed @ layer["output"]["kernel"][head]
        x = x + attended
        states = rms(x, layer["dense_norm"]["scale"])
        x = x + gelu(states @ layer["up"]["kernel"]) @ layer["down"]["kernel"]
    return rms(x, params["final_norm"]["scale"]) @ params["embedding"].T


def test_against_the_definition():
    params = random_params()
    rng = np.random.default_rng(1)
    # Unpadded, two packed pages, padding on the right, padding on the left.
    segments = np.array([[1] * 9, [1] * 4 + [2] * 5, [1] * 6 + [0] * 3, [0] * 3 + [1] * 6], np.int32)
    tokens = rng.integers(0, CHINCHILLA.vocab_size, segments.shape)
    seen = np.asarray(jax.jit(MODEL.apply)({"params": params}, tokens, context(segments))[0])
    for row in range(len(tokens)):
        expected = brute_force(params, tokens[row], segments[row])
        real = segments[row] > 0
        np.testing.assert_allclose(seen[row][real], expected[real], rtol=0, atol=1e-4 * np.abs(expected).max())


def test_with_a_cache_it_is_the_same():
    params = random_params()
    tokens = np.random.default_rng(2).integers(0, CHINCHILLA.vocab_size, (1, LENGTH))
    segments = np.ones_like(tokens, np.int32)
    whole = np.asarray(jax.jit(MODEL.apply)({"params": params}, tokens, context(segments))[0])
    shape = (CHINCHILLA.num_layers, 1, LENGTH + 2, CHINCHILLA.num_kv_heads, CHINCHILLA.head_dim)
    cache = {"head": {name: np.zeros(shape, np.float32) for name in ("key", "value")}}
    keys = np.ones((1, LENGTH + 2), np.int32)
    step = jax.jit(MODEL.apply)
    slot = 0
    for size in (4, 1, 1, 3):
        part = slice(slot, slot + size)
        place = Context(np.arange(slot, slot + size)[None], causal_mask(segments[:, part], keys, slot), slot)
        logits, cache = step({"params": params}, tokens[:, part], place, cache)
        np.testing.assert_allclose(logits, whole[:, part], rtol=0, atol=1e-4 * np.abs(whole).max())
        slot += size
