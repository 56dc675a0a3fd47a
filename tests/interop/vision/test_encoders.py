"""The registry of vision encoders: schemes by tensor names, configs by config.json and by tensors, and back."""

import dataclasses

import numpy as np
import pytest

from flamingo_jax.interop.files.tensors import WeightsError
from flamingo_jax.interop.vision import efficientnet, encoders
from flamingo_jax.interop.vision.vit_tensors import Recipe
from flamingo_jax.models.vision.efficientnet import EfficientNetLiteConfig
from flamingo_jax.models.vision.vit import SIGLIP_MEAN, SIGLIP_SCALE, ViTConfig
from tests.interop.vision import vit_peers

# The published encoders, as this package's presets have them.
CLIP_L = ViTConfig()
OPEN_CLIP_H = ViTConfig(width=1280, num_layers=32, hidden_width=5120, activation="gelu")
SIGLIP_SO400M = ViTConfig(
    width=1152,
    num_layers=27,
    hidden_width=4304,
    image_size=384,
    activation="gelu_tanh",
    class_token=False,
    class_position=False,
    pre_norm=False,
    post_norm=True,
    patch_bias=True,
    norm_eps=1e-6,
    pixel_mean=SIGLIP_MEAN,
    pixel_scale=SIGLIP_SCALE,
)
DINOV2_S = encoders.from_hf(
    {
        "model_type": "dinov2",
        "hidden_size": 384,
        "num_hidden_layers": 12,
        "num_attention_heads": 6,
        "image_size": 518,
    }
)
DINOV2_G = dataclasses.replace(
    DINOV2_S, width=1536, num_layers=40, num_heads=24, hidden_width=4096, gated_dense=True, activation="silu"
)
CLIP_L_JSON = {
    "architectures": ["CLIPModel"],
    "model_type": "clip",
    "projection_dim": 768,
    "text_config": {"hidden_size": 768, "num_hidden_layers": 12},
    "vision_config": {
        "hidden_act": "quick_gelu",
        "hidden_size": 1024,
        "image_size": 224,
        "intermediate_size": 4096,
        "layer_norm_eps": 1e-05,
        "model_type": "clip_vision_model",
        "num_attention_heads": 16,
        "num_hidden_layers": 24,
        "patch_size": 14,
    },
}
# As on the hub: what is transformers' default is left out.
SIGLIP_JSON = {
    "model_type": "siglip",
    "vision_config": {
        "hidden_size": 1152,
        "image_size": 384,
        "intermediate_size": 4304,
        "model_type": "siglip_vision_model",
        "num_attention_heads": 16,
        "num_hidden_layers": 27,
        "patch_size": 14,
    },
}


def tensors(config: ViTConfig, scheme: str) -> dict[str, tuple[int, ...]]:
    """The shapes of a new file's tensors."""
    shapes = vit_peers.canonical_shapes(config)
    rules = encoders.SCHEMES[scheme].weight_map(config).rules
    return {rule.theirs: rule.layout.their_shape([shapes[name] for name in rule.ours]) for rule in rules}


@pytest.mark.parametrize(
    ("content", "config"),
    [(CLIP_L_JSON, CLIP_L), (CLIP_L_JSON["vision_config"], CLIP_L), (SIGLIP_JSON, SIGLIP_SO400M)],
)
def test_published_config_files(content, config):
    assert encoders.from_hf(content) == config


@pytest.mark.parametrize(
    ("config", "scheme"),
    [
        (CLIP_L, "hf_clip"),
        (OPEN_CLIP_H, "hf_clip"),
        (SIGLIP_SO400M, "hf_siglip"),
        (dataclasses.replace(SIGLIP_SO400M, image_size=378, interpolation="bilinear_antialias"), "hf_siglip2"),
        (DINOV2_S, "hf_dinov2"),
        (DINOV2_G, "hf_dinov2"),
        (dataclasses.replace(DINOV2_S, num_registers=4, interpolation="bicubic_antialias"), "hf_dinov2"),
    ],
)
def test_config_files_both_ways(config, scheme):
    written = encoders.to_hf(config, scheme)
    preprocessor = encoders.to_preprocessor(config, scheme)
    assert encoders.from_hf(written, preprocessor) == config
    odd = dataclasses.replace(config, pixel_mean=(1.0, 2.5, 3.0), pixel_scale=(51.0, 60.0, 70.0))
    assert encoders.from_hf(written, encoders.to_preprocessor(odd, scheme)) == odd


@pytest.mark.parametrize(
    ("config", "scheme"),
    [(OPEN_CLIP_H, "hf_clip"), (SIGLIP_SO400M, "hf_siglip"), (DINOV2_G, "hf_dinov2"), (CLIP_L, "open_clip")],
)
def test_new_files_are_recognized(config, scheme):
    shapes = tensors(config, scheme)
    assert encoders.find_encoder(shapes, shapes.__getitem__).name == scheme


def test_what_transformers_wants_beside_the_parameters():
    found = encoders.constants(CLIP_L, "hf_clip")
    np.testing.assert_array_equal(found["vision_model.post_layernorm.weight"], np.ones(1024))
    np.testing.assert_array_equal(found["vision_model.post_layernorm.bias"], np.zeros(1024))
    assert encoders.constants(dataclasses.replace(CLIP_L, post_norm=True), "hf_clip") == {}
    assert encoders.constants(SIGLIP_SO400M, "hf_siglip") == {}
    assert encoders.constants(DINOV2_S, "hf_dinov2") == {}
    registers = encoders.constants(dataclasses.replace(DINOV2_S, num_registers=4), "hf_dinov2")
    assert {name: value.shape for name, value in registers.items()} == {"embeddings.mask_token": (1, 384)}


@pytest.mark.parametrize(
    ("config", "scheme", "recipe"),
    [
        (CLIP_L, "open_clip", "openai_clip"),
        (OPEN_CLIP_H, "open_clip", "open_clip"),
        (CLIP_L, "timm_vit", "openai_clip"),
        (dataclasses.replace(SIGLIP_SO400M, image_size=378), "timm_vit", ""),
        (DINOV2_S, "timm_vit", ""),
        (dataclasses.replace(DINOV2_G, num_registers=4, class_position=False), "timm_vit", ""),
    ],
)
def test_configs_from_tensors(config, scheme, recipe):
    config = dataclasses.replace(config, interpolation="bicubic_antialias")
    assert encoders.from_tensors(tensors(config, scheme), recipe) == config


def test_openai_files_are_told_by_their_numbers():
    shapes = tensors(CLIP_L, "open_clip")
    config = encoders.from_tensors(shapes | {"input_resolution": ()})
    assert config == dataclasses.replace(CLIP_L, interpolation="bicubic_antialias")
    with pytest.raises(WeightsError, match=r"stand in no tensor, .* give recipe, one of openai_clip, open_clip"):
        encoders.from_tensors(shapes)


def test_dinov2_files_resize_as_their_authors_do():
    shapes = tensors(DINOV2_S, "timm_vit") | {"mask_token": (1, 384)}
    assert encoders.from_tensors(shapes) == DINOV2_S


def test_what_tensors_cannot_tell():
    shapes = tensors(dataclasses.replace(CLIP_L, width=96, num_heads=2, num_layers=1), "open_clip")
    with pytest.raises(WeightsError, match=r"heads stands in no tensor, .* 96 wide: give a Recipe with num_heads"):
        encoders.from_tensors(shapes, "open_clip")
    own = Recipe("gelu", 1e-5, SIGLIP_MEAN, SIGLIP_SCALE, num_heads=3)
    assert encoders.from_tensors(shapes, own).num_heads == 3
    with pytest.raises(WeightsError, match="unknown recipe 'clip'; known: openai_clip, "):
        encoders.from_tensors(shapes, "clip")
    with pytest.raises(WeightsError, match=r"visual.positional_embedding has 11 rows: no square grid of patches"):
        encoders.from_tensors(shapes | {"visual.positional_embedding": (11, 96)}, own)
    del shapes["visual.conv1.weight"]
    with pytest.raises(WeightsError, match=r"no tensor visual.conv1.weight, which the encoder in OpenCLIP"):
        encoders.from_tensors(shapes, own)
    with pytest.raises(WeightsError, match="the config of hf_clip files does not follow from their tensors"):
        encoders.from_tensors(tensors(CLIP_L, "hf_clip"))


def test_other_encoders():
    rules = efficientnet.weight_map(EfficientNetLiteConfig()).rules
    assert encoders.find_encoder([rule.theirs for rule in rules]).name == "efficientnet"
    found = encoders.SCHEMES["efficientnet"].weight_map(EfficientNetLiteConfig())
    assert found.rules == rules
    assert encoders.find_encoder(["stem.conv1.weight", "stem.conv1.gain"]).name == "nfnet_timm"
    assert encoders.find_encoder(["NFNet/~/stem_conv0/gain", "NFNet/~/stem_conv0/w"]).name == "nfnet_haiku"
    for scheme in encoders.SCHEMES.values():
        assert callable(getattr(scheme.load(), scheme.function))
        assert not scheme.derives or callable(scheme.load().from_tensors)


def test_unknown_files():
    with pytest.raises(WeightsError, match=r"no known vision encoder has tensors of these names \(a, b, ...\); known"):
        encoders.find_encoder(["b", "a"])
    with pytest.raises(WeightsError, match="model_type 'vit' is no known vision encoder; known: clip, "):
        encoders.from_hf({"model_type": "vit"})
    with pytest.raises(WeightsError, match=r"a timm config.json \(vit_base.*\) says little .*from_tensors"):
        encoders.from_hf({"architecture": "vit_base_patch16_siglip_224"})


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ({"hidden_act": "mish"}, "hidden_act is 'mish', which is unknown here; known: quick_gelu, "),
        ({"num_channels": 4}, "num_channels is 4; ViT takes images of 3 channels"),
        ({"image_size": [224, 336]}, r"image_size is \[224, 336\]; ViT knows square ones only"),
    ],
)
def test_configs_that_vit_cannot_be(part, message):
    with pytest.raises(WeightsError, match=message):
        encoders.from_hf({"model_type": "clip_vision_model", **part})


@pytest.mark.parametrize(
    ("config", "scheme", "message"),
    [
        (CLIP_L, "open_clip", "'open_clip' is no scheme of transformers; .* here are hf_clip, hf_siglip2, hf_siglip, "),
        (CLIP_L, "hf_siglip", r"hf_siglip cannot express this encoder; .* class_token \(True, there False\)"),
        (DINOV2_G, "hf_clip", r"pre_norm \(False, there True\)"),
        (dataclasses.replace(SIGLIP_SO400M, post_norm=False), "hf_siglip", r"post_norm \(False, there True\)"),
        (
            dataclasses.replace(CLIP_L, activation="squared_relu"),
            "hf_clip",
            "no name for the activation 'squared_relu'",
        ),
    ],
)
def test_what_transformers_cannot_express(config, scheme, message):
    with pytest.raises(WeightsError, match=message):
        encoders.to_hf(config, scheme)


def test_pixels_without_normalization():
    plain = encoders.from_hf({"model_type": "clip"}, {"do_normalize": False})
    assert (plain.pixel_mean, plain.pixel_scale) == ((0.0, 0.0, 0.0), (255.0, 255.0, 255.0))
    with pytest.raises(WeightsError, match="no image_mean and image_std"):
        encoders.from_hf({"model_type": "clip"}, {"do_normalize": True})
