"""timm's CLIP, SigLIP and DINOv2, and DINOv2's own files: configs from tensors, features of the peer, round trips."""

import dataclasses

import pytest

from flamingo_jax.interop.files.tensors import WeightsError
from flamingo_jax.interop.vision import encoders, timm_vit
from flamingo_jax.interop.vision.vit_tensors import RECIPES
from tests.interop.vision import vit_peers

GOLDEN = vit_peers.Golden("vit_timm")
CASES = {"clip": "openai_clip", "siglip": "siglip", "dinov2": "dinov2", "original": "dinov2"}


def setup(case: str):
    """The weights, and the config that follows from them and from a recipe with the tiny model's number of heads."""
    weights = GOLDEN.under(f"{case}/weights/")
    recipe = dataclasses.replace(RECIPES[CASES[case]], num_heads=4, post_norm=True)
    return weights, encoders.from_tensors({name: value.shape for name, value in weights.items()}, recipe)


@pytest.mark.parametrize(
    ("case", "golden", "images"),
    [
        ("clip", "features", "images"),
        ("siglip", "features", "images"),
        ("dinov2", "features", "images"),
        ("dinov2", "others", "others"),
        ("original", "features", "images"),
    ],
)
def test_features_of_the_peer(case, golden, images):
    weights, config = setup(case)
    config = dataclasses.replace(config, output="all")
    ours, _ = vit_peers.read(weights, timm_vit.weight_map(config, weights), config)
    (found,) = vit_peers.features(config, ours, GOLDEN[images])
    vit_peers.assert_close(found, GOLDEN[f"{case}/{golden}"])


@pytest.mark.parametrize("case", CASES)
def test_round_trip(case):
    weights, config = setup(case)
    vit_peers.assert_round_trip(weights, timm_vit.weight_map(config, weights), config)


def test_what_is_dropped_and_why():
    dropped = {}
    for case in CASES:
        weights, config = setup(case)
        _, dropped[case] = vit_peers.read(weights, timm_vit.weight_map(config, weights), config)
    assert dropped["clip"].keys() == {"head.weight", "head.bias"}
    assert all(name.startswith("attn_pool.") and "pools" in why for name, why in dropped["siglip"].items())
    assert dropped["dinov2"] == {}
    assert dropped["original"].keys() == {"mask_token"}

    weights, config = setup("clip")
    config = dataclasses.replace(config, post_norm=False)
    _, found = vit_peers.read(weights, timm_vit.weight_map(config, weights), config)
    assert "post_norm is off" in found["norm.weight"]


def test_siglip_in_a_file_of_open_clip():
    weights, config = setup("siglip")
    weights = {f"visual.trunk.{name}": value for name, value in weights.items()}
    bias = weights["visual.trunk.norm.bias"]
    whole = weights | {"logit_bias": bias, "text.ln_final.bias": bias}
    assert encoders.find_encoder(whole).name == "timm_vit"
    _, dropped = vit_peers.read(whole, timm_vit.weight_map(config, whole), config)
    assert {"logit_bias", "text.ln_final.bias"} <= dropped.keys()
    vit_peers.assert_round_trip(whole, timm_vit.weight_map(config, whole), config)


def test_layouts_of_registers():
    """timm adds the class token's position to it and has no row for it; DINOv2's own files have one."""
    configs = {case: setup(case)[1] for case in ("dinov2", "original")}
    assert {case: config.class_position for case, config in configs.items()} == {"dinov2": False, "original": True}
    assert all((config.num_registers, config.gated_dense) == (3, True) for config in configs.values())
    with pytest.raises(WeightsError, match=r"hf_dinov2 cannot express this encoder; .* class_position \(False, there"):
        encoders.to_hf(dataclasses.replace(configs["dinov2"], hidden_width=64), "hf_dinov2")
