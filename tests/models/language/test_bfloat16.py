"""Computing in bfloat16, as accelerators do: close to float32 in every kind of decoder, and float32 logits."""

import dataclasses

import jax
import numpy as np
import pytest
from flax import linen as nn

from flamingo_jax.models.language.decoder import Decoder
from flamingo_jax.models.language.decoder_config import DecoderConfig
from flamingo_jax.models.language.layer import Context
from flamingo_jax.models.language.plan import LayerPlan
from flamingo_jax.models.masks import causal_mask
from tests.families import FAMILIES

SIZES = DecoderConfig(61, 32, 2, 4, 4, 8, 48, max_length=32)


@pytest.mark.parametrize("family", ["chinchilla", "gemma 2", "gpt-neox", "mpt", "gpt-2"])
def test_it_stays_close_to_float32(family):
    config = dataclasses.replace(SIZES, **FAMILIES[family])
    tokens = np.random.default_rng(0).integers(0, 61, (2, 10))
    context = Context(np.broadcast_to(np.arange(10), (2, 10)), causal_mask(np.ones((2, 10), np.int32)))
    model = Decoder(config, LayerPlan(2))
    shapes = nn.meta.unbox(jax.eval_shape(model.init, jax.random.key(0), tokens, context))
    rng = np.random.default_rng(1)
    params = jax.tree.map(lambda leaf: rng.normal(0, 0.3, leaf.shape).astype(np.float32), shapes)
    half = jax.tree.map(lambda leaf: leaf.astype("bfloat16"), params)
    exact = np.asarray(jax.jit(model.apply)(params, tokens, context)[0])
    logits = jax.jit(dataclasses.replace(model, dtype="bfloat16").apply)(half, tokens, context)[0]
    assert logits.dtype == np.float32
    error = np.abs(np.asarray(logits) - exact).max() / np.abs(exact).max()
    assert 0 < error < 0.05
