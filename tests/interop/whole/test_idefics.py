"""Whole IDEFICS models against transformers, and their folders read and written."""

import dataclasses
import functools
import json

import numpy as np
import pytest

from flamingo_jax.interop.conversion import Parameters, Source, Target
from flamingo_jax.interop.files.safetensors_writer import write_safetensors
from flamingo_jax.interop.files.tensors import WeightsError, open_tensors
from flamingo_jax.interop.whole import idefics
from flamingo_jax.models.flamingo import FlamingoConfig
from flamingo_jax.models.vision.efficientnet import BlockGroup, EfficientNetLiteConfig
from tests.interop.whole.support import MemoryFile, golden, logits, preset, relative_error, shapes

VARIANTS = ("float", "vector")
LAST_NORM = {f"model.vision_model.post_layernorm.{name}" for name in ("weight", "bias")}


@functools.cache
def arrays(variant: str) -> dict[str, np.ndarray]:
    return golden(f"idefics_{variant}")


def hub_config(variant: str) -> dict:
    return json.loads(str(arrays(variant)["config"]))


@functools.cache
def folder(variant: str) -> MemoryFile:
    """The peer's tensors."""
    stored = arrays(variant)
    return MemoryFile({name.removeprefix("state/"): stored[name] for name in stored if name.startswith("state/")})


def read(file, config: FlamingoConfig) -> Parameters:
    return Parameters([Source(file, idefics.weight_map(config, file))], shapes(config))


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_logits(variant, side):
    config, stored = idefics.from_hf(hub_config(variant)), arrays(variant)
    seen, mask = stored[f"{side}/image_mask"], stored[f"{side}/mask"]
    image_index = np.where(seen.any(axis=-1), seen.argmax(axis=-1) + 1, 0)
    parameters = dict(read(folder(variant), config).items())
    ours = logits(config, parameters, stored[f"{side}/tokens"], mask, image_index, stored["images"])
    theirs = stored[f"{side}/logits"]
    assert ours.shape == theirs.shape == (3, 16, 39)
    assert relative_error(ours[mask > 0], theirs[mask > 0]) < 1e-4
    assert set(image_index[2][mask[2] > 0]) == {0, 1, 2, 3}  # also tokens after images that see none


@pytest.mark.parametrize("variant", VARIANTS)
def test_config_from_and_to_config_json(variant):
    config = idefics.from_hf(hub_config(variant))
    every, eps = (2, 1e-6) if variant == "float" else (1, 1e-5)
    assert (config.cross_attention_every, config.cross_attention_first) == (every, 0)
    assert config.cross_attention.norm_eps == config.language.norm_eps == eps
    assert config.cross_attention.hidden_width(24) == 40
    assert config.cross_attention.gate_per_channel == (variant == "vector")
    assert (config.vision.output, config.vision.post_norm) == ("all", False)
    written = idefics.to_hf(config)
    assert json.loads(json.dumps(written)) == written
    assert idefics.from_hf(written) == config
    theirs = hub_config(variant)
    for part, wanted in (("vision_config", theirs["vision_config"]), ("perceiver_config", theirs["perceiver_config"])):
        assert written[part].items() <= wanted.items()
    assert {key: value for key, value in written.items() if not isinstance(value, dict)}.items() <= theirs.items()


def test_preprocessor_of_a_folder():
    written = idefics.preprocessor(idefics.from_hf(hub_config("float")))
    assert written["image_size"] == 8
    assert written["image_mean"] == [0.48145466, 0.4578275, 0.40821073]
    assert written["image_std"] == [0.26862954, 0.26130258, 0.27577711]


@pytest.mark.parametrize(
    ("name", "size", "expected"),
    [
        ("idefics_9b", {}, (4096, 32, 32, 128, 11008, 1e-6)),
        (
            "idefics_80b",
            {
                "hidden_size": 8192,
                "num_hidden_layers": 80,
                "num_attention_heads": 64,
                "intermediate_size": 22016,
                "rms_norm_eps": 1e-5,
            },
            (8192, 80, 64, 128, 22016, 1e-5),
        ),
    ],
)
def test_published_configs(name, size, expected):
    """The fields that the published 9B and 80B set; the 9B leaves out the sizes that are defaults of the class."""
    config = idefics.from_hf(
        {
            "model_type": "idefics",
            "additional_vocab_size": 2,
            "cross_layer_interval": 4,
            "qk_layer_norms": True,
            "use_resampler": True,
            "vision_config": {"embed_dim": 1280},
            "perceiver_config": {"use_resampler": True, "qk_layer_norms_perceiver": True},
            **size,
        }
    )
    language, cross = config.language, config.cross_attention
    width, layers, heads, head_dim, hidden, eps = expected
    assert (language.width, language.num_layers, language.num_heads, language.head_dim) == (
        width,
        layers,
        heads,
        head_dim,
    )
    assert (language.hidden_width, cross.hidden_width(width), cross.hidden_multiplier) == (hidden, hidden, 2.6875)
    assert (language.norm_eps, cross.norm_eps, language.vocab_size, config.num_new_tokens) == (eps, eps, 32000, 2)
    assert (cross.num_heads, cross.head_dim, config.plan.num_blocks) == (heads, head_dim, layers // 4)
    vision, resampler = config.vision, config.resampler
    assert (vision.width, vision.num_layers, vision.num_heads, vision.hidden_width, vision.grid) == (
        1280,
        32,
        16,
        5120,
        16,
    )
    assert (resampler.num_layers, resampler.num_heads, resampler.head_dim, resampler.num_latents) == (6, 16, 96, 64)
    assert resampler.qk_norm and cross.qk_norm and not language.tied_embeddings
    assert config == preset(name)


@pytest.mark.parametrize("variant", VARIANTS)
def test_out_and_in_again_is_bit_identical(variant, tmp_path):
    config = idefics.from_hf(hub_config(variant))
    target = Target(read(folder(variant), config), idefics.weight_map(config))
    assert not target.dropped
    write_safetensors(tmp_path, target.specs, target.read)
    with open_tensors(tmp_path / "model.safetensors") as file:
        written = {name: file[name] for name in file}
        again = dict(read(file, config).items())
    for name, parameter in read(folder(variant), config).items():
        np.testing.assert_array_equal(again[name], parameter, err_msg=name)
    # With the norm that no logit depends on, these are the peer's tensors.
    theirs = folder(variant)
    constants = idefics.constants(config)
    assert written.keys() == theirs.keys() - LAST_NORM and constants.keys() == LAST_NORM
    for name in theirs:
        ours = constants[name] if name in LAST_NORM else written[name]
        assert (ours.shape, ours.dtype) == (theirs[name].shape, theirs[name].dtype)
        assert name in LAST_NORM or (ours == theirs[name]).all()


def test_what_is_dropped_and_why():
    config = idefics.from_hf(hub_config("float"))
    old = dict(folder("float")) | {
        "model.layers.0.self_attn.rotary_emb.inv_freq": np.zeros(4, np.float32),
        "model.gated_cross_attn_layers.0.cross_attn.rotary_emb.inv_freq": np.zeros(4, np.float32),
        "model.vision_model.embeddings.position_ids": np.zeros((1, 5), np.int64),
    }
    dropped = {drop.name: drop.reason for drop in read(MemoryFile(old), config).dropped}
    assert dropped.keys() == LAST_NORM | (old.keys() - folder("float").keys())
    assert "before the last norm" in dropped["model.vision_model.post_layernorm.weight"]


def test_tied_embeddings():
    config = dataclasses.replace(idefics.from_hf(hub_config("float")))
    config = dataclasses.replace(config, language=dataclasses.replace(config.language, tied_embeddings=True))
    assert idefics.from_hf(idefics.to_hf(config)) == config
    parameters = read(folder("float"), config)
    assert {drop.name for drop in parameters.dropped} >= {"lm_head.weight", "lm_head.additional_fc.weight"}
    assert "language_model/new_output_rows" not in parameters
    assert not any(name.startswith("lm_head") for name in Target(parameters, idefics.weight_map(config)).specs)


def test_missing_unknown_and_misshapen_tensors_are_named():
    tensors = dict(folder("float"))
    block = "model.gated_cross_attn_layers.1"
    del tensors[f"{block}.alpha_dense"], tensors["lm_head.additional_fc.weight"]
    tensors[f"{block}.cross_attn.q_proj.bias"] = np.zeros(24, np.float32)
    tensors["model.perceiver_resampler.latents"] = np.zeros((5, 16), np.float32)
    with pytest.raises(WeightsError) as error:
        read(MemoryFile(tensors), idefics.from_hf(hub_config("float")))
    message = str(error.value)
    assert "2 tensors are missing" in message and f"{block}.alpha_dense" in message and "additional_fc" in message
    assert "1 tensors have no place" in message and f"{block}.cross_attn.q_proj.bias" in message
    assert "model.perceiver_resampler.latents is (5, 16), the model wants (4, 16)" in message


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"use_resampler": False}, "use_resampler is false"),
        ({"cross_layer_interval": 3}, "cross_layer_interval 3 does not divide 4 layers"),
        ({"alpha_type": "matrix"}, "alpha_type 'matrix'"),
        ({"hidden_act": "mish"}, "hidden_act 'mish'; known: gelu"),
        ({"num_attention_heads": 5}, "hidden_size 24 does not divide into 5 heads"),
        ({"rope_parameters": {"rope_type": "yarn"}}, "rotary positions of type 'yarn'"),
        ({"vision_config": {"image_size": [8, 12]}}, r"image_size.*\[8, 12\]"),
    ],
)
def test_configs_that_cannot_be_read_are_refused(changes, message):
    with pytest.raises(WeightsError, match=message):
        idefics.from_hf(hub_config("float") | changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cross_attention_first": 1}, "cross_attention_first is 1 .IDEFICS: 0."),
        (
            {"cross_attention.norm": "layer", "resampler.max_frames": 8},
            "max_frames is 8.*cross_attention.norm is 'layer'",
        ),
        ({"cross_attention.head_dim": 16}, "cross_attention.head_dim is 16"),
        ({"vision.output": "patches"}, "vision.output is 'patches'"),
        ({"language.qkv_bias": True}, "language.qkv_bias is True"),
        ({"language.activation": "squared_relu"}, "no activation 'squared_relu'"),
        ({"vision": EfficientNetLiteConfig(8, (BlockGroup(1, 3, 1, 1, 8),), 16)}, "not EfficientNetLiteConfig"),
    ],
)
def test_models_that_idefics_cannot_hold_are_refused(changes, message):
    config = idefics.from_hf(hub_config("float"))
    for path, value in changes.items():
        part, _, field = path.rpartition(".")
        change = {field: value}
        if part:
            change = {part: dataclasses.replace(getattr(config, part), **change)}
        config = dataclasses.replace(config, **change)
    with pytest.raises(WeightsError, match=message):
        idefics.to_hf(config)
