"""The cost of a forward pass against XLA's own count of the compiled program, its scans unrolled."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest

from flamingo_jax.models.language import decoder
from flamingo_jax.models.language.decoder_config import DecoderConfig
from flamingo_jax.models.language.flops import forward_flops_per_token
from flamingo_jax.models.language.layer import Context
from flamingo_jax.models.language.plan import LayerPlan
from flamingo_jax.models.masks import causal_mask
from tests.families import FAMILIES

SIZES = {
    "vocab_size": 512,
    "width": 256,
    "num_layers": 3,
    "num_heads": 4,
    "num_kv_heads": 4,
    "head_dim": 64,
    "hidden_width": 1024,
}


@pytest.mark.parametrize("family", FAMILIES)
def test_the_formula_agrees_with_xla(family, monkeypatch):
    scan = nn.scan
    monkeypatch.setattr(decoder.nn, "scan", lambda *given, **options: scan(*given, **options | {"unroll": True}))
    config = DecoderConfig(**(SIZES | FAMILIES[family]))
    model, batch, length = decoder.Decoder(config, LayerPlan(config.num_layers)), 2, 64
    tokens = jax.ShapeDtypeStruct((batch, length), jnp.int32)

    def forward(params, tokens):
        positions = jnp.broadcast_to(jnp.arange(length), tokens.shape)
        return model.apply(params, tokens, Context(positions, causal_mask(jnp.ones_like(tokens))))[0]

    def init(tokens):
        return nn.meta.unbox(model.init(jax.random.key(0), tokens, Context(tokens, causal_mask(jnp.ones_like(tokens)))))

    params = jax.eval_shape(init, tokens)
    counted = jax.jit(forward).lower(params, tokens).compile().cost_analysis()["flops"]
    expected = forward_flops_per_token(config, length, batch) * batch * length
    assert abs(counted / expected - 1) < 0.05, f"XLA counts {counted:.4g}, the formula {expected:.4g}"
