"""Bindings that build a given config: gin's own reading of them is the oracle."""

import dataclasses

import pytest

from flamingo_jax import config
from flamingo_jax.interop.gin_bindings import gin_bindings
from flamingo_jax.models.flamingo import FlamingoConfig
from flamingo_jax.models.language.decoder_config import DecoderConfig, RotaryScaling
from flamingo_jax.models.vision.efficientnet import BlockGroup, EfficientNetLiteConfig
from flamingo_jax.models.vision.vit import ViTConfig
from tests import language_goldens, tiny

TARGET = "flamingo_jax.training.run.RunConfig.model"
DECODER = dataclasses.replace(
    tiny.LANGUAGE,
    windows=(4, 0),
    rotary_scaling=RotaryScaling("linear", 8.0),
    rope_theta=1e6,
    embedding_scale=33.941125496954285,
    norm_eps=1e-6,
    tied_embeddings=False,
)
SAME_TWICE = EfficientNetLiteConfig(
    8, (BlockGroup(1, 3, 1, 1, 8), BlockGroup(2, 3, 2, 2, 12), BlockGroup(1, 3, 1, 1, 8))
)


def built(made):
    """What gin makes of the bindings, less the one that binds the target."""
    head, _, rest = gin_bindings(made, TARGET).partition("run.RunConfig.model = ")
    reference, _, rest = rest.partition("\n")
    assert reference.startswith("@") and reference.endswith("()")
    return config.resolve(type(made), [], [head + rest])


@pytest.mark.parametrize(
    "made",
    [
        tiny.CONFIG,
        tiny.config(language=DECODER, vision=SAME_TWICE, cross_attention_first=1, dtype="bfloat16"),
        tiny.config(vision=ViTConfig(width=64, num_heads=4, output="all")),
        DECODER,
        SAME_TWICE,
        DecoderConfig(61, 32, 5, 4, 2, 8, 48, windows=(8,), rotary_scaling=RotaryScaling("llama3", 8.0, 1.0, 4.0, 64)),
    ],
)
def test_gin_builds_the_same(made):
    assert built(made) == made


@pytest.mark.parametrize("case", language_goldens.CASES)
def test_every_family(case):
    made = language_goldens.golden(case).config
    assert built(made) == made


def test_the_target_is_bound_and_defaults_too():
    text = gin_bindings(tiny.CONFIG, TARGET)
    assert "\nrun.RunConfig.model = @flamingo.FlamingoConfig()\n" in text
    assert "from flamingo_jax.training import run\n" in text
    # Or what another file bound would stay.
    assert "flamingo.FlamingoConfig.project_visual = True\n" in text
    assert "flamingo.FlamingoConfig.cross_attention_every = 2\n" in text
    assert FlamingoConfig.__dataclass_fields__["project_visual"].default is True


def test_instances_of_one_class_have_scopes_of_their_own():
    text = gin_bindings(SAME_TWICE, TARGET)
    assert "groups = (@block_group_1/efficientnet.BlockGroup(), @block_group_2/efficientnet.BlockGroup(), " in text
    assert text.count("BlockGroup.width = 8") == 1  # the first and the third are equal
