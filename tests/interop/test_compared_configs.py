"""Configs that no tensor contradicts but the file beside the weights does, and weights of another kind of model."""

import dataclasses

import numpy as np
import pytest
from etils import epath

from flamingo_jax.interop.compared import _differing
from flamingo_jax.interop.files.safetensors_writer import write_safetensors
from flamingo_jax.interop.files.tensors import TensorSpec, WeightsError
from flamingo_jax.interop.vision import encoders
from flamingo_jax.models.resampler_alternatives import TransformerResamplerConfig
from flamingo_jax.models.vision.nfnet import VARIANTS
from flamingo_jax.models.vision.vit import SIGLIP_MEAN, SIGLIP_SCALE, ViTConfig
from tests import tiny
from tests.interop.test_native import load, write

CLIP = ViTConfig(8, 16, 2, 2, 32, 16)
SIGLIP = dataclasses.replace(
    CLIP,
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
MODEL = tiny.config(vision=CLIP)
NFNET = dataclasses.replace(VARIANTS["F0"], depths=(1,), widths=(32,), stem_widths=(4, 8, 8, 16), group_width=8)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("compared")
    return {
        "whole": write(root / "whole", MODEL),
        "language": write(root / "language", MODEL, "language"),
        "clip": write(root / "clip", CLIP),
        "hf_clip": write(root / "hf_clip", CLIP, to="huggingface"),
        "hf_siglip": write(root / "hf_siglip", SIGLIP, to="huggingface"),
        "lite": write(root / "lite", tiny.VISION),
    }


def replaced(config, **changes):
    return dataclasses.replace(config, **changes)


def said(caplog) -> str:
    """The one warning's list of fields; empty without a warning."""
    if not caplog.records:
        return ""
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    return record.getMessage().split("other than the run's config: ")[1]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, ""),
        (
            {"cross_attention": replaced(MODEL.cross_attention, activation="gelu", norm_eps=1e-6)},
            "cross_attention.activation 'squared_relu', not 'gelu'; cross_attention.norm_eps 1e-05, not 1e-06",
        ),
        ({"vision": replaced(CLIP, output="all")}, "vision.output 'patches', not 'all'"),
        ({"language": replaced(tiny.LANGUAGE, rope_theta=5e5)}, "language.rope_theta 10000.0, not 500000.0"),
        (
            {"resampler": replaced(MODEL.resampler, activation="gelu")},
            "resampler.activation 'squared_relu', not 'gelu'",
        ),
        ({"end_of_chunk": -1}, "end_of_chunk 0, not -1"),
        (
            {
                "dtype": "bfloat16",
                "new_rows_init_std": 1.0,
                "language": replaced(tiny.LANGUAGE, max_length=32, local_rope_theta=7.0, alibi_max=4.0),
                "cross_attention": replaced(MODEL.cross_attention, gate_init=0.1, output_init_scale=0.5),
                "resampler": replaced(MODEL.resampler, time_init_std=1.0, latents_init_std=1.0),
            },
            "",
        ),
    ],
)
def test_a_whole_model(folders, caplog, changes, message):
    load(replaced(MODEL, **changes), flamingo=folders["whole"])
    assert said(caplog) == message


def test_parts_that_come_from_elsewhere_are_not_compared_with_the_whole(folders, caplog):
    """The part's own folder says the same of it, and is heard once."""
    model = replaced(MODEL, language=replaced(tiny.LANGUAGE, activation="gelu"))
    load(model, flamingo=folders["whole"], language=folders["language"])
    assert said(caplog) == "activation 'silu', not 'gelu'"


def test_other_placement_is_no_matter_of_a_part(folders, caplog):
    load(replaced(MODEL, cross_attention_every=3), language=folders["whole"], vision=folders["whole"])
    assert said(caplog) == ""


def test_another_kind_of_module_is_named():
    other = TransformerResamplerConfig(24, 4, 2)
    (found,) = _differing(MODEL, replaced(MODEL, resampler=other))
    assert found == "resampler a PerceiverResamplerConfig, not a TransformerResamplerConfig"


@pytest.mark.parametrize("source", ["clip", "whole"])
def test_a_vision_encoder_of_ours(folders, caplog, source):
    other = replaced(CLIP, activation="gelu", norm_eps=1e-6, output="all", pixel_mean=(1.0, 2.0, 3.0))
    load(replaced(MODEL, vision=other), vision=folders[source])
    mean = f"pixel_mean {CLIP.pixel_mean}, not (1.0, 2.0, 3.0)"
    assert said(caplog) == (
        f"activation 'quick_gelu', not 'gelu'; norm_eps 1e-05, not 1e-06; output 'patches', not 'all'; {mean}"
    )


@pytest.mark.parametrize(
    ("source", "config", "message"),
    [
        ("hf_clip", CLIP, ""),
        ("hf_clip", replaced(CLIP, output="all", interpolation="bicubic_antialias", post_norm=True), ""),
        ("hf_clip", replaced(CLIP, activation="gelu"), "activation 'quick_gelu', not 'gelu'"),
        ("hf_siglip", SIGLIP, ""),
        ("hf_siglip", replaced(SIGLIP, norm_eps=1e-5), "norm_eps 1e-06, not 1e-05"),
        ("hf_siglip", replaced(SIGLIP, pixel_scale=(1.0,) * 3), f"pixel_scale {SIGLIP_SCALE}, not (1.0, 1.0, 1.0)"),
    ],
)
def test_a_vision_encoder_of_transformers(folders, caplog, source, config, message):
    load(replaced(MODEL, vision=config), vision=folders[source])
    assert said(caplog) == message


@pytest.mark.parametrize("content", [None, "{", "[]", '{"model_type": "bert"}'])
def test_what_cannot_be_read_beside_the_weights_is_not_compared(folders, caplog, tmp_path, content):
    (tmp_path / "model.safetensors").write_bytes((folders["hf_clip"] / "model.safetensors").read_bytes())
    if content is not None:
        (tmp_path / "config.json").write_text(content)
    model = replaced(MODEL, vision=replaced(CLIP, activation="gelu"))
    load(model, vision=tmp_path / "model.safetensors")
    assert said(caplog) == ""


def test_pixels_are_compared_only_where_they_are_said(folders, caplog, tmp_path):
    for name in ("model.safetensors", "config.json"):
        (tmp_path / name).write_bytes((folders["hf_clip"] / name).read_bytes())
    load(replaced(MODEL, vision=replaced(CLIP, pixel_mean=(1.0, 2.0, 3.0))), vision=tmp_path)
    assert said(caplog) == ""


@pytest.mark.parametrize(
    ("config", "source", "message"),
    [
        (tiny.VISION, "hf_siglip", r"a Vision Transformer's weights \(hf_siglip\), .* is an EfficientNetLiteConfig"),
        (NFNET, "hf_clip", r"a Vision Transformer's weights \(hf_clip\), the model's config is an NFNetConfig"),
        (tiny.VISION, "clip", r"holds the weights of a ViTConfig, .* vision is an EfficientNetLiteConfig"),
        (CLIP, "lite", r"holds the weights of an EfficientNetLiteConfig, .* vision is a ViTConfig"),
    ],
)
def test_weights_of_another_kind_of_encoder(folders, config, source, message):
    with pytest.raises(WeightsError, match=message) as caught:
        load(replaced(MODEL, vision=config), vision=folders[source])
    assert str(caught.value).startswith(str(folders[source] / "model.safetensors"))


def test_an_efficientnet_for_a_vision_transformer(tmp_path):
    spec = TensorSpec((1,), np.dtype(np.float32))
    specs = dict.fromkeys(("_conv_stem.weight", "_blocks.0._depthwise_conv.weight"), spec)
    write_safetensors(epath.Path(tmp_path), specs, lambda name: np.zeros(1, np.float32))
    with pytest.raises(WeightsError, match=r"an EfficientNet-lite's weights \(efficientnet\), .* is a ViTConfig"):
        load(MODEL, vision=tmp_path)


def test_a_vision_encoder_for_a_language_model(folders):
    with pytest.raises(WeightsError, match=r"holds the weights of a ViTConfig, .* language is a DecoderConfig"):
        load(MODEL, language=folders["clip"])
    with pytest.raises(WeightsError, match="tensors are missing: "):
        load(MODEL, language=folders["hf_siglip"])


def test_what_a_family_has_no_place_for_is_said_of_the_file(folders, tmp_path):
    write(tmp_path / "llama", tiny.LANGUAGE, to="huggingface")
    model = replaced(MODEL, language=replaced(tiny.LANGUAGE, positions="learned"))
    with pytest.raises(WeightsError, match="this family's files have no place for position_embedding") as caught:
        load(model, language=tmp_path / "llama")
    assert str(caught.value).startswith(str(tmp_path / "llama" / "model.safetensors: "))


@pytest.mark.parametrize("scheme", encoders.SCHEMES.values(), ids=lambda scheme: scheme.name)
def test_every_scheme_has_a_kind(scheme):
    assert scheme.kind.split()[0] in ("a", "an")
