"""DINOv2 of transformers: features of the peer, plain, with registers and gated; round trips; configs."""

import dataclasses

import numpy as np
import pytest

from flamingo_jax.interop.files.tensors import WeightsError, open_tensors
from flamingo_jax.interop.vision import encoders, hf_dinov2
from flamingo_jax.models.vision.vit import ViTConfig
from tests.interop.vision import vit_peers

GOLDEN = vit_peers.Golden("vit_dinov2")
CASES = ("plain", "registers", "gated")


@pytest.mark.parametrize(
    ("case", "batches"),
    [("plain", ("features", "others")), ("registers", ("features", "others")), ("gated", ("features",))],
)
def test_features_of_the_peer(case, batches):
    config = dataclasses.replace(encoders.from_hf(GOLDEN.configs[case]), output="all")
    weights = GOLDEN.under(f"{case}/weights/")
    ours, dropped = vit_peers.read(weights, hf_dinov2.weight_map(config, weights), config)
    assert dropped.keys() == {"embeddings.mask_token"}
    images = {"features": GOLDEN["images"], "others": GOLDEN["others"]}
    found = vit_peers.features(config, ours, *(images[batch] for batch in batches))
    for batch, features in zip(batches, found, strict=True):
        vit_peers.assert_close(features, GOLDEN[f"{case}/{batch}"])


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("prefix", ["", "dinov2."])
def test_round_trip(case, prefix):
    """Alone, and as the encoder of a classifier."""
    config = encoders.from_hf(GOLDEN.configs[case])
    weights = {prefix + name: value for name, value in GOLDEN.under(f"{case}/weights/").items()}
    vit_peers.assert_round_trip(weights, hf_dinov2.weight_map(config, weights), config)


def test_the_backbone_of_a_network_of_another_purpose():
    """Its head stays in the file; the head of nothing else does."""
    config = encoders.from_hf(GOLDEN.configs["plain"])
    with open_tensors(vit_peers.GOLDENS / "dinov2.onnx") as file:
        assert encoders.find_encoder(file).name == "hf_dinov2"
        exported, dropped = vit_peers.read(file, hf_dinov2.weight_map(config, file), config)
    assert dropped.keys() == {"decoder.weight", "decoder.bias"}
    weights = GOLDEN.under("plain/weights/")
    ours, _ = vit_peers.read(weights, hf_dinov2.weight_map(config, weights), config)
    assert exported.keys() == ours.keys()
    for name, array in ours.items():
        np.testing.assert_array_equal(exported[name], array)
    weights["decoder.weight"] = np.zeros(1)
    with pytest.raises(WeightsError, match=r"1 tensors have no place in the model: decoder\.weight"):
        vit_peers.read(weights, hf_dinov2.weight_map(config, weights), config)


def test_dropped_norm():
    config = dataclasses.replace(encoders.from_hf(GOLDEN.configs["plain"]), post_norm=False)
    weights = GOLDEN.under("plain/weights/")
    _, dropped = vit_peers.read(weights, hf_dinov2.weight_map(config, weights), config)
    assert dropped["layernorm.bias"] == "post_norm is off in the config"


def test_gated_and_plain_files_do_not_mix():
    config, weights = encoders.from_hf(GOLDEN.configs["gated"]), GOLDEN.under("plain/weights/")
    with pytest.raises(WeightsError, match=r"8 tensors are missing: encoder.layer.0.mlp.weights_in"):
        vit_peers.read(weights, hf_dinov2.weight_map(config, weights), config)


def test_sizes_of_the_giant():
    """facebook/dinov2-giant's config.json, which says nothing of the gated branch's width."""
    giant = {"hidden_size": 1536, "num_hidden_layers": 40, "num_attention_heads": 24, "image_size": 518}
    config = encoders.from_hf({"model_type": "dinov2", "patch_size": 14, "use_swiglu_ffn": True, **giant})
    assert (config.hidden_width, config.activation, config.grid, config.num_registers) == (4096, "silu", 37, 0)
    assert encoders.from_hf(encoders.to_hf(config, "hf_dinov2")) == config
    with pytest.raises(WeightsError, match=r"a whole number times 1536 .*: 4000 is not one"):
        encoders.to_hf(dataclasses.replace(config, hidden_width=4000), "hf_dinov2")


def test_without_biases_on_queries():
    with pytest.raises(WeightsError, match="qkv_bias is false"):
        encoders.from_hf({"model_type": "dinov2", "qkv_bias": False})


def test_defaults_of_transformers():
    small = ViTConfig(
        width=768,
        num_layers=12,
        num_heads=12,
        hidden_width=3072,
        activation="gelu",
        pre_norm=False,
        post_norm=True,
        layer_scale=True,
        patch_bias=True,
        norm_eps=1e-6,
        pixel_mean=(123.675, 116.28, 103.53),
        pixel_scale=(58.395, 57.12, 57.375),
    )
    assert encoders.from_hf({"model_type": "dinov2"}) == small
    registers = dataclasses.replace(small, patch_size=16, num_registers=4, interpolation="bicubic_antialias")
    assert encoders.from_hf({"model_type": "dinov2_with_registers"}) == registers
