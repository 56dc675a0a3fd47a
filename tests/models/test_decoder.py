"""The Llama-family decoder against transformers on tiny random weights, through the weight map that real files take."""

import json
from pathlib import Path

import jax
import numpy as np
import pytest
from flax import traverse_util

from flamingo_jax.interop import llama
from flamingo_jax.interop.weight_map import read_weights
from flamingo_jax.models.attention import causal_mask
from flamingo_jax.models.language.decoder import Context, Decoder, DecoderConfig
from flamingo_jax.models.language.plan import LayerPlan

GOLDEN = np.load(Path(__file__).parents[1] / "goldens" / "llama_tiny.npz")
PEER = json.loads(str(GOLDEN["config"]))


class Tensors(dict):
    path = "golden"


def decoder(tied: bool) -> tuple[Decoder, dict]:
    config = DecoderConfig(
        vocab_size=PEER["vocab_size"],
        width=PEER["hidden_size"],
        num_layers=PEER["num_hidden_layers"],
        num_heads=PEER["num_attention_heads"],
        num_kv_heads=PEER["num_key_value_heads"],
        head_dim=PEER["hidden_size"] // PEER["num_attention_heads"],
        hidden_width=PEER["intermediate_size"],
        rope_theta=PEER["rope_theta"],
        norm_eps=PEER["rms_norm_eps"],
        tied_embeddings=tied,
    )
    prefix = "tied/" if tied else "untied/"
    tensors = Tensors({name.removeprefix(prefix): GOLDEN[name] for name in GOLDEN.files if name.startswith(prefix)})
    heads, kv_heads, depth, width = config.num_heads, config.num_kv_heads, config.num_layers, config.width
    shapes = {
        "embedding": (61, width),
        "output_embedding": (61, width),
        "final_norm/scale": (width,),
        "layers/attention_norm/scale": (depth, width),
        "layers/dense_norm/scale": (depth, width),
        "layers/query/kernel": (depth, width, heads, config.head_dim),
        "layers/key/kernel": (depth, width, kv_heads, config.head_dim),
        "layers/value/kernel": (depth, width, kv_heads, config.head_dim),
        "layers/output/kernel": (depth, heads, config.head_dim, width),
        "layers/gate/kernel": (depth, width, config.hidden_width),
        "layers/up/kernel": (depth, width, config.hidden_width),
        "layers/down/kernel": (depth, config.hidden_width, width),
    }
    flat, _ = read_weights(tensors, llama.weight_map(config, llama.HUGGING_FACE), shapes, np.float32)
    params = traverse_util.unflatten_dict(flat, sep="/")
    plan = LayerPlan(config.num_layers)
    params |= plan.group(params.pop("layers"))
    return Decoder(config, plan), {"params": params}


@pytest.mark.parametrize("tied", [False, True])
def test_logits_of_the_peer(tied):
    model, params = decoder(tied)
    tokens = GOLDEN["input_ids"]
    positions = np.broadcast_to(np.arange(tokens.shape[1]), tokens.shape)
    logits, _ = jax.jit(model.apply)(params, tokens, Context(positions, causal_mask(np.ones_like(tokens))))
    expected = GOLDEN["tied/logits" if tied else "untied/logits"]
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-5)


def test_packing_does_not_leak():
    """Two rows packed into one give each row's own logits."""
    model, params = decoder(True)
    tokens = GOLDEN["input_ids"][:, :5]
    positions = np.broadcast_to(np.arange(5), tokens.shape)
    apart, _ = jax.jit(model.apply)(params, tokens, Context(positions, causal_mask(np.ones_like(tokens))))
    segments = np.array([[1] * 5 + [2] * 5 + [0] * 3])
    packed = np.concatenate([tokens.reshape(1, -1), np.zeros((1, 3), int)], axis=1)
    places = np.array([[*range(5), *range(5), 0, 0, 0]])
    together, _ = jax.jit(model.apply)(params, packed, Context(places, causal_mask(segments)))
    np.testing.assert_allclose(together[0, :10].reshape(apart.shape), apart, rtol=1e-5, atol=1e-6)
    assert np.isfinite(together).all()
