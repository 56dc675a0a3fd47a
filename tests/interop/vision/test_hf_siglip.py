"""SigLIP and SigLIP2 of transformers: features of the peer, round trips, and what is dropped."""

import dataclasses

import numpy as np
import pytest

from flamingo_jax.interop.files.tensors import WeightsError
from flamingo_jax.interop.vision import encoders, hf_siglip
from tests.interop.vision import vit_peers

GOLDEN = vit_peers.Golden("vit_siglip")
IMAGES, OTHERS, WHOLES = GOLDEN["images"], GOLDEN["others"], GOLDEN["wholes"]
WEIGHTS = {case: GOLDEN.under(f"{case}/weights/") for case in ("siglip", "naflex")}
CONFIGS = {case: encoders.from_hf(GOLDEN.configs[case]) for case in WEIGHTS}
MAPS = {
    "siglip": hf_siglip.weight_map(CONFIGS["siglip"], WEIGHTS["siglip"]),
    "naflex": hf_siglip.naflex_weight_map(CONFIGS["naflex"], WEIGHTS["naflex"]),
}


@pytest.mark.parametrize(("case", "images", "others"), [("siglip", IMAGES, OTHERS), ("naflex", IMAGES, WHOLES)])
def test_features_of_the_peer(case, images, others):
    ours, _ = vit_peers.read(WEIGHTS[case], MAPS[case], CONFIGS[case])
    found, resized = vit_peers.features(CONFIGS[case], ours, images, others)
    vit_peers.assert_close(found, GOLDEN[f"{case}/features"])
    vit_peers.assert_close(resized, GOLDEN[f"{case}/others"])


@pytest.mark.parametrize("case", ["siglip", "naflex"])
def test_round_trip(case):
    vit_peers.assert_round_trip(WEIGHTS[case], MAPS[case], CONFIGS[case])


def test_what_is_dropped_and_why():
    _, dropped = vit_peers.read(WEIGHTS["siglip"], MAPS["siglip"], CONFIGS["siglip"])
    assert "text tower" in dropped["text_model.head.weight"]
    assert "pools" in dropped["vision_model.head.probe"]
    assert not any("post_layernorm" in name for name in dropped)
    _, dropped = vit_peers.read(WEIGHTS["naflex"], MAPS["naflex"], CONFIGS["naflex"])
    assert all(name.startswith("head.") for name in dropped) and len(dropped) == 11

    before = dataclasses.replace(CONFIGS["siglip"], post_norm=False)
    weight_map = hf_siglip.weight_map(before, WEIGHTS["siglip"])
    _, dropped = vit_peers.read(WEIGHTS["siglip"], weight_map, before)
    assert "post_norm is off" in dropped["vision_model.post_layernorm.bias"]


def test_naflex_is_told_by_its_matrix_of_patches():
    weights = WEIGHTS["naflex"]
    assert encoders.find_encoder(weights, lambda name: weights[name].shape).name == "hf_siglip2"
    assert encoders.find_encoder(weights).name == "hf_siglip"
    weights = WEIGHTS["siglip"]
    assert encoders.find_encoder(weights, lambda name: weights[name].shape).name == "hf_siglip"
    with pytest.raises(WeightsError, match=r"weight is \(24, 147\), the model wants \(24, 3, 7, 7\) for patch/kernel"):
        vit_peers.read(WEIGHTS["naflex"], hf_siglip.weight_map(CONFIGS["naflex"], WEIGHTS["naflex"]), CONFIGS["naflex"])


def test_patch_pixels_stand_in_the_order_of_the_processor():
    """Row, column, channel: one weight of their matrix is one weight of our kernel."""
    matrix = np.zeros((24, 147), np.float32)
    matrix[5, (2 * 7 + 3) * 3 + 1] = 1
    rule = next(rule for rule in MAPS["naflex"].rules if rule.ours == ("patch/kernel",))
    (kernel,) = rule.layout.to_ours(matrix, [(7, 7, 3, 24)])
    assert np.argwhere(kernel).tolist() == [[2, 3, 1, 5]]


def test_positions_that_are_no_square():
    with pytest.raises(WeightsError, match="num_patches is 250, which is no square grid"):
        encoders.from_hf({"model_type": "siglip2", "vision_config": {"num_patches": 250}})
