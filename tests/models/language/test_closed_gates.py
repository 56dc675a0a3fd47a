"""With gates at 0 a decoder with cross-attention blocks is the language model, bit for bit, whatever its family."""

import dataclasses

import jax
import numpy as np
import pytest
from flax import linen as nn

from flamingo_jax.models.gated_cross_attention import GatedCrossAttentionConfig
from flamingo_jax.models.language.decoder import Decoder
from flamingo_jax.models.language.decoder_config import DecoderConfig
from flamingo_jax.models.language.layer import Context
from flamingo_jax.models.language.plan import LayerPlan
from flamingo_jax.models.masks import causal_mask
from tests.families import FAMILIES

SIZES = DecoderConfig(61, 32, 4, 4, 4, 8, 48, max_length=32)
PLAN = LayerPlan.make(4, 2)


@pytest.mark.parametrize("family", FAMILIES)
def test_closed_gates_give_the_language_model_bit_for_bit(family):
    config, rng = dataclasses.replace(SIZES, **FAMILIES[family]), np.random.default_rng(0)
    tokens = rng.integers(0, 61, (2, 10))
    media, sees = rng.normal(size=(2, 6, 16)).astype(np.float32), rng.random((2, 1, 10, 6)) < 0.5
    context = Context(np.broadcast_to(np.arange(10), (2, 10)), causal_mask(np.ones((2, 10), np.int32)))
    seeing = context._replace(media=media, media_mask=sees)

    model = Decoder(config, PLAN, GatedCrossAttentionConfig(2, 8))
    shapes = nn.meta.unbox(jax.eval_shape(model.init, jax.random.key(0), tokens, seeing))["params"]
    params = jax.tree.map(lambda leaf: rng.normal(0, 0.3, leaf.shape).astype(np.float32), shapes)
    closed = jax.tree_util.tree_map_with_path(lambda path, x: x * 0 if "_gate" in str(path[-1]) else x, params)
    layers = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), params["groups"]["layers"])
    alone = {"head": layers} | {name: leaf for name, leaf in params.items() if name != "groups"}

    apply = jax.jit(model.apply)
    plain = np.asarray(jax.jit(Decoder(config, LayerPlan(4)).apply)({"params": alone}, tokens, context)[0])
    np.testing.assert_array_equal(apply({"params": closed}, tokens, seeing)[0], plain)
    assert np.abs(apply({"params": params}, tokens, seeing)[0] - plain).max() > 1e-3
