"""CLIP of OpenAI and OpenCLIP under their own names: features of the peer, both flavours, and configs of its files."""

import dataclasses

import numpy as np
import pytest

from flamingo_jax.interop.files.tensors import WeightsError
from flamingo_jax.interop.vision import encoders, open_clip
from flamingo_jax.models.vision.vit import IMAGENET_MEAN, IMAGENET_SCALE
from tests.interop.vision import vit_peers

GOLDEN = vit_peers.Golden("vit_clip")
CASES = {"openai": "open_clip", "laion": "open_clip", "bare": "bare"}


@pytest.mark.parametrize(
    ("case", "golden", "images"),
    [("openai", "features", "images"), ("openai", "others", "others"), ("laion", "features", "images")],
)
def test_features_of_the_peer(case, golden, images):
    config = dataclasses.replace(encoders.from_hf(GOLDEN.configs[case]), output="all")
    weights = GOLDEN.under(f"{CASES[case]}/weights/")
    ours, _ = vit_peers.read(weights, open_clip.weight_map(config, weights), config)
    (found,) = vit_peers.features(config, ours, GOLDEN[images])
    vit_peers.assert_close(found, GOLDEN[f"{case}/{golden}"])


def test_an_unusual_config():
    """No norm before the layers, layer scale, another activation and epsilon; after the last norm."""
    config = dataclasses.replace(encoders.from_hf(GOLDEN.configs["bare"]), output="all", post_norm=True)
    weights = GOLDEN.under("bare/weights/")
    ours, _ = vit_peers.read(weights, open_clip.weight_map(config, weights), config)
    (found,) = vit_peers.features(config, ours, GOLDEN["images"])
    vit_peers.assert_close(found, GOLDEN["bare/normed"])


@pytest.mark.parametrize(("case", "post_norm"), [("openai", False), ("openai", True), ("bare", True)])
def test_round_trip(case, post_norm):
    config = dataclasses.replace(encoders.from_hf(GOLDEN.configs[case]), post_norm=post_norm)
    weights = GOLDEN.under(f"{CASES[case]}/weights/")
    vit_peers.assert_round_trip(weights, open_clip.weight_map(config, weights), config)


def test_what_is_dropped_and_why():
    config = encoders.from_hf(GOLDEN.configs["openai"])
    weights = GOLDEN.under("open_clip/weights/") | {"input_resolution": np.array(224)}
    _, dropped = vit_peers.read(weights, open_clip.weight_map(config, weights), config)
    assert "OpenFlamingo and IDEFICS" in dropped["visual.ln_post.weight"]
    assert "joint space" in dropped["visual.proj"]
    assert "text tower" in dropped["transformer.resblocks.0.attn.in_proj_weight"]
    assert "text tower" in dropped["positional_embedding"]
    assert "no weights" in dropped["input_resolution"]
    assert {name for name in dropped if name.startswith("visual.")} == {
        "visual.ln_post.weight",
        "visual.ln_post.bias",
        "visual.proj",
    }


def test_the_tower_alone():
    config = encoders.from_hf(GOLDEN.configs["laion"])
    weights = {
        name.removeprefix("visual."): value
        for name, value in GOLDEN.under("open_clip/weights/").items()
        if name.startswith("visual.")
    }
    assert vit_peers.read(weights, open_clip.weight_map(config, weights), config)[1].keys() == {
        "ln_post.weight",
        "ln_post.bias",
        "proj",
    }
    assert encoders.find_encoder(weights).name == "open_clip"


def test_configs():
    """ViT-bigG-14's and CLIPA's settings, as their open_clip_config.json have them."""
    big = {"image_size": 224, "layers": 48, "width": 1664, "head_width": 104, "mlp_ratio": 4.9231, "patch_size": 14}
    config = encoders.from_hf({"model_cfg": {"embed_dim": 1280, "vision_cfg": big}})
    assert (config.num_heads, config.hidden_width, config.activation, config.grid) == (16, 8192, "gelu", 16)
    assert (config.pre_norm, config.post_norm, config.norm_eps) == (True, False, 1e-5)
    clipa = {"image_size": 224, "layers": 24, "width": 1024, "patch_size": 14, "no_ln_pre": True, "pool_type": "avg"}
    preprocess = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
    config = encoders.from_hf({"model_cfg": {"vision_cfg": clipa}, "preprocess_cfg": preprocess})
    assert (config.pre_norm, config.pixel_mean, config.pixel_scale) == (False, IMAGENET_MEAN, IMAGENET_SCALE)


@pytest.mark.parametrize(
    "settings", [{"timm_model_name": "vit_so400m_patch14_siglip_384"}, {"layers": [3, 4, 6, 3]}, {"qk_norm": True}]
)
def test_what_is_no_plain_vision_transformer(settings):
    (name,) = settings
    with pytest.raises(WeightsError, match=rf"open_clip_config.json: {name}=.* is no plain Vision Transformer"):
        encoders.from_hf({"model_cfg": {"vision_cfg": settings}})
