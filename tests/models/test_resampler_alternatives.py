"""The Resampler's rivals: their budget, their shape, what they see, and that order in time reaches them."""

import jax
import numpy as np
import pytest
from flax import linen as nn

from flamingo_jax.models.resampler import PerceiverResamplerConfig
from flamingo_jax.models.resampler_alternatives import MlpResamplerConfig, TransformerResamplerConfig

SMALL = {"width": 16, "num_latents": 3, "num_layers": 2, "max_frames": 4}
CONFIGS = [MlpResamplerConfig(**SMALL), TransformerResamplerConfig(num_heads=2, head_dim=8, **SMALL)]


def count(config) -> int:
    features, mask = jax.ShapeDtypeStruct((1, 1, 100, 3072), "float32"), jax.ShapeDtypeStruct((1, 1), "bool")
    return sum(leaf.size for leaf in jax.tree.leaves(jax.eval_shape(config.make("float32").init, KEY, features, mask)))


KEY = jax.random.key(0)


@pytest.mark.parametrize("rival", [MlpResamplerConfig(), TransformerResamplerConfig()])
def test_the_budget_is_that_of_the_resampler(rival):
    assert abs(count(rival) / count(PerceiverResamplerConfig()) - 1) < 0.01


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: type(config).__name__)
def test_it_sees_the_frames_that_there_are_and_their_order(config):
    module = config.make("float32")
    rng = np.random.default_rng(0)
    features = rng.normal(size=(2, 3, 5, 7)).astype(np.float32)
    mask = np.ones((2, 3), bool)
    mask[1, 2] = False
    shapes = nn.meta.unbox(jax.eval_shape(module.init, KEY, features, mask))
    params = jax.tree.map(lambda leaf: rng.normal(0.5, 0.5, leaf.shape).astype(np.float32), shapes)
    apply = jax.jit(module.apply)
    tokens = np.asarray(apply(params, features, mask))
    assert tokens.shape == (2, 3, 16)

    hidden = features.copy()
    hidden[1, 2] = 9.0
    np.testing.assert_array_equal(apply(params, hidden, mask), tokens)
    hidden[0, 2] = 9.0
    assert np.abs(apply(params, hidden, mask)[0] - tokens[0]).max() > 1e-3
    assert np.abs(apply(params, features[:, ::-1], np.ones((2, 3), bool))[0] - tokens[0]).max() > 1e-3


def test_means_of_the_mlp_cover_each_feature_once():
    """With layers that do nothing and a norm that is undone, tokens are means of equal shares of the row."""
    config = MlpResamplerConfig(width=4, num_latents=2, num_layers=1, max_frames=0, project_input=False)
    module = config.make("float32")
    features = np.random.default_rng(1).normal(size=(1, 1, 3, 4)).astype(np.float32)
    mask = np.ones((1, 1), bool)
    shapes = nn.meta.unbox(jax.eval_shape(module.init, KEY, features, mask))
    params = jax.tree.map(lambda leaf: np.zeros(leaf.shape, np.float32), shapes)
    params["params"]["final_norm"]["scale"] += 1
    tokens = np.asarray(module.apply(params, features, mask))[0]
    first, middle, last = features[0, 0]
    expected = np.stack([(first + middle / 2) / 1.5, (last + middle / 2) / 1.5])
    expected = (expected - expected.mean(1, keepdims=True)) / np.sqrt(expected.var(1, keepdims=True) + config.norm_eps)
    np.testing.assert_allclose(tokens, expected, atol=1e-5)
