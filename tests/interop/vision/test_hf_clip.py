"""CLIP of transformers: features of the peer, what is dropped and why, and files that do not fit."""

import dataclasses

import numpy as np
import pytest

from flamingo_jax.interop.files.tensors import WeightsError
from flamingo_jax.interop.vision import encoders, hf_clip
from flamingo_jax.models.vision.vit import ViTConfig
from tests.interop.vision import vit_peers

GOLDEN = vit_peers.Golden("vit_clip")
WEIGHTS = GOLDEN.under("transformers/weights/")


def config(case: str, **changes) -> ViTConfig:
    return dataclasses.replace(encoders.from_hf(GOLDEN.configs[case]), **changes)


def features(setting: ViTConfig, *batches: np.ndarray) -> list[np.ndarray]:
    ours, _ = vit_peers.read(WEIGHTS, hf_clip.weight_map(setting, WEIGHTS), setting)
    return vit_peers.features(setting, ours, *batches)


def test_what_openflamingo_was_trained_on():
    """The default: patches of the last layer, without the class token and without the last norm."""
    found, others = features(config("quick_gelu"), GOLDEN["images"], GOLDEN["others"])
    vit_peers.assert_close(found, GOLDEN["quick_gelu/features"][:, 1:])
    vit_peers.assert_close(others, GOLDEN["quick_gelu/others"][:, 1:])


def test_what_idefics_was_trained_on():
    """Exact GELU, the class token in front."""
    (found,) = features(config("gelu", output="all"), GOLDEN["images"])
    vit_peers.assert_close(found, GOLDEN["gelu/features"])


def test_after_the_last_norm():
    (found,) = features(config("gelu", post_norm=True, output="all"), GOLDEN["images"])
    vit_peers.assert_close(found, GOLDEN["gelu/normed"])


@pytest.mark.parametrize("post_norm", [False, True])
def test_round_trip(post_norm):
    setting = config("gelu", post_norm=post_norm)
    vit_peers.assert_round_trip(WEIGHTS, hf_clip.weight_map(setting, WEIGHTS), setting)


def test_what_is_dropped_and_why():
    plain = config("gelu")
    _, dropped = vit_peers.read(WEIGHTS, hf_clip.weight_map(plain, WEIGHTS), plain)
    assert "text tower" in dropped["text_model.encoder.layers.0.mlp.fc1.weight"]
    assert "text tower" in dropped["logit_scale"]
    assert "joint space" in dropped["visual_projection.weight"]
    assert "post_norm is off" in dropped["vision_model.post_layernorm.weight"]
    assert all(not name.startswith("vision_model.") or "post_layernorm" in name for name in dropped)

    normed = config("gelu", post_norm=True)
    old = WEIGHTS | {"vision_model.embeddings.position_ids": np.arange(17)[None]}
    _, dropped = vit_peers.read(old, hf_clip.weight_map(normed, old), normed)
    assert "vision_model.post_layernorm.weight" not in dropped
    assert "no weights" in dropped["vision_model.embeddings.position_ids"]


def test_a_vision_model_without_prefix():
    bare = {
        name.removeprefix("vision_model."): value for name, value in WEIGHTS.items() if name.startswith("vision_model.")
    }
    setting = config("gelu", post_norm=True)
    assert vit_peers.read(bare, hf_clip.weight_map(setting, bare), setting)[1] == {}
    vit_peers.assert_round_trip(bare, hf_clip.weight_map(setting, bare), setting)
    written = {rule.theirs for rule in hf_clip.weight_map(setting).rules}
    assert written == {name for name in WEIGHTS if name.startswith("vision_model.")}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_layers": 1}, r"16 tensors have no place in the model: vision_model.encoder.layers.1."),
        ({"num_layers": 3}, r"16 tensors are missing: vision_model.encoder.layers.2."),
        (
            {"patch_size": 6},
            r"weight is \(24, 3, 7, 7\), the model wants \(24, 3, 6, 6\) for patch/kernel",
        ),
        ({"image_size": 42}, r"position_embedding.weight is \(17, 24\), the model wants \(37, 24\) for position_embed"),
        (
            {"pre_norm": False},
            r"2 tensors have no place in the model: vision_model.pre_layrnorm.bias; ",
        ),
        ({"patch_bias": True}, r"1 tensors are missing: vision_model.embeddings.patch_embedding.bias"),
        ({"num_registers": 2}, r"CLIP's \(transformers\) files have no place for num_registers"),
        ({"layer_scale": True, "gated_dense": True}, r"no place for layer_scale, gated_dense of the ViTConfig"),
    ],
)
def test_misfits(changes, message):
    setting = config("gelu", **changes)
    with pytest.raises(WeightsError, match=message):
        vit_peers.read(WEIGHTS, hf_clip.weight_map(setting, WEIGHTS), setting)
