"""Our blocks, set to OpenFlamingo's choices, against OpenFlamingo's own code on tiny random weights."""

from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from flax import traverse_util

from flamingo_jax.models.gated_cross_attention import GatedCrossAttentionBlock, GatedCrossAttentionConfig
from flamingo_jax.models.masks import image_causal_mask
from flamingo_jax.models.resampler import PerceiverResampler, PerceiverResamplerConfig

GOLDEN = np.load(Path(__file__).parents[1] / "goldens" / "openflamingo_blocks.npz")


def tree(flat: dict) -> dict:
    return {"params": traverse_util.unflatten_dict({key: jnp.asarray(value) for key, value in flat.items()}, sep="/")}


def resampler_params(prefix: str) -> dict:
    def layers(name, turn=lambda x: x):
        return np.stack([turn(GOLDEN[f"{prefix}/layers.{i}.{name}"]) for i in range(2)])

    def heads(x):
        return x.T.reshape(16, 2, 8)

    flat = {
        "latents": GOLDEN[f"{prefix}/latents"],
        "final_norm/scale": GOLDEN[f"{prefix}/norm.weight"],
        "final_norm/bias": GOLDEN[f"{prefix}/norm.bias"],
        "layers/query/kernel": layers("0.to_q.weight", heads),
        "layers/key/kernel": layers("0.to_kv.weight", lambda x: heads(x[:16])),
        "layers/value/kernel": layers("0.to_kv.weight", lambda x: heads(x[16:])),
        "layers/output/kernel": layers("0.to_out.weight", lambda x: x.T.reshape(2, 8, 16)),
        "layers/dense_in/kernel": layers("1.1.weight", np.transpose),
        "layers/dense_out/kernel": layers("1.3.weight", np.transpose),
    }
    for ours, theirs in (("media_norm", "0.norm_media"), ("latents_norm", "0.norm_latents"), ("dense_norm", "1.0")):
        flat |= {f"layers/{ours}/scale": layers(f"{theirs}.weight"), f"layers/{ours}/bias": layers(f"{theirs}.bias")}
    if f"{prefix}/frame_embs" in GOLDEN:
        flat["time_embedding"] = GOLDEN[f"{prefix}/frame_embs"]
    return tree(flat)


@pytest.mark.parametrize(("prefix", "max_frames"), [("resampler", 0), ("resampler_frames", 4)])
def test_resampler(prefix, max_frames):
    config = PerceiverResamplerConfig(
        16, 4, 2, num_heads=2, head_dim=8, activation="gelu", max_frames=max_frames, project_input=False
    )
    features, expected = GOLDEN[f"{prefix}/in"], GOLDEN[f"{prefix}/out"]
    flat = features.reshape(-1, *features.shape[2:])
    out = PerceiverResampler(config).apply(resampler_params(prefix), flat, np.ones(flat.shape[:2], bool))
    np.testing.assert_allclose(out.reshape(expected.shape), expected, rtol=1e-5, atol=1e-5)


def test_gated_cross_attention():
    flat = {
        "attention_gate": GOLDEN["xattn/attn_gate"][0],
        "dense_gate": GOLDEN["xattn/ff_gate"][0],
        "query_norm/scale": GOLDEN["xattn/attn.norm.weight"],
        "query_norm/bias": GOLDEN["xattn/attn.norm.bias"],
        "query/kernel": GOLDEN["xattn/attn.to_q.weight"].T.reshape(24, 2, 8),
        "key/kernel": GOLDEN["xattn/attn.to_kv.weight"][:16].T.reshape(16, 2, 8),
        "value/kernel": GOLDEN["xattn/attn.to_kv.weight"][16:].T.reshape(16, 2, 8),
        "output/kernel": GOLDEN["xattn/attn.to_out.weight"].T.reshape(2, 8, 24),
        "dense_norm/scale": GOLDEN["xattn/ff.0.weight"],
        "dense_norm/bias": GOLDEN["xattn/ff.0.bias"],
        "dense_in/kernel": GOLDEN["xattn/ff.1.weight"].T,
        "dense_out/kernel": GOLDEN["xattn/ff.3.weight"].T,
    }
    config = GatedCrossAttentionConfig(2, 8, activation="gelu", normalize_media=False)
    image_index = np.cumsum(GOLDEN["xattn/media_locations"], axis=1)
    media = GOLDEN["xattn/media"].reshape(2, 12, 16)
    block = GatedCrossAttentionBlock(config)
    out, key_value = block.apply(tree(flat), GOLDEN["xattn/x"], media, image_causal_mask(image_index, 3, 4))
    np.testing.assert_allclose(out, GOLDEN["xattn/out"], rtol=1e-5, atol=1e-5)
    mask = image_causal_mask(image_index, 3, 4)
    again, _ = block.apply(tree(flat), GOLDEN["xattn/x"], None, mask, key_value)
    np.testing.assert_array_equal(out, again)
