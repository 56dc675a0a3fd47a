"""NFNet's arithmetic beside the goldens (`tests/interop/vision/test_nfnet.py`): counts, constants, sizes, precision."""

import dataclasses
import itertools
import json
import math
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from flamingo_jax.models.vision.nfnet import (
    STEM_STRIDES,
    VARIANTS,
    NFBlock,
    NFNetConfig,
    ScaledConvolution,
    scaled_activation,
)

GOLDENS = pathlib.Path(__file__).parents[1] / "goldens"
SMALL = NFNetConfig(depths=(1, 2), widths=(16, 32), stem_widths=(2, 4, 8, 16), group_width=8)
SEED = jax.random.key(0)


def images(height: int, width: int) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct((2, height, width, 3), jnp.uint8)


def abstract(config: NFNetConfig):
    return jax.eval_shape(config.make(jnp.float32).init, SEED, images(64, 64))["params"]


def drawn(config: NFNetConfig, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Random parameters, none of which leaves the features untouched as those of a new model do."""
    return jax.tree.map(lambda leaf: rng.standard_normal(leaf.shape, np.float32) / 2, nn.meta.unbox(abstract(config)))


@pytest.mark.parametrize("variant", VARIANTS)
def test_variants_have_as_many_parameters_as_timms(variant):
    config = VARIANTS[variant]
    params = abstract(config)
    count = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(params))
    assert count == json.loads((GOLDENS / "nfnet_parameters.json").read_text())[variant]
    assert config.output_width == 3072
    if variant == "F6":  # the paper's, 435M
        assert config == NFNetConfig() and count == 435_286_116


def test_a_share_of_a_width_survives_rounding():
    assert dataclasses.replace(SMALL, widths=(16, 49), final_ratio=1 / 49).output_width == 1


@pytest.mark.parametrize(("height", "width", "positions"), [(320, 320, 100), (480, 480, 225), (33, 70, 6), (1, 1, 1)])
def test_any_size_gives_one_vector_for_each_32_pixels(height, width, positions):
    config = dataclasses.replace(SMALL, depths=(1, 1, 1, 1), widths=(16, 32, 32, 32))
    features, _ = jax.eval_shape(config.make(jnp.float32).init_with_output, SEED, images(height, width))
    assert features.shape == (2, positions, 64) and config.output_width == 64


def test_blocks_divide_by_the_deviation_that_they_expect():
    config = NFNetConfig(depths=(3, 2, 1), widths=(256, 512, 512), alpha=0.5)
    assert [(block.stride, block.transition) for block in config.blocks] == [
        (1, True),
        (1, False),
        (1, False),
        (2, True),
        (1, False),
        (2, True),
    ]
    variances = [block.beta**-2 for block in config.blocks]
    np.testing.assert_allclose(variances, [1, 1.25, 1.5, 1.75, 1.25, 1.5])


def test_no_convolution_in_a_shortcut_that_changes_nothing():
    config = dataclasses.replace(SMALL, stem_widths=(2, 4, 8, 16), widths=(16, 16), depths=(2, 1))
    assert [block.transition for block in config.blocks] == [False, False, True]


def test_blocks_in_one_piece_and_in_stacks():
    runs = NFNetConfig().runs
    assert {name: len(run) for name, run in runs.items()} == {
        "block_0": 1,
        "blocks_1_to_6": 6,
        "block_7": 1,
        "blocks_8_to_20": 13,
        "block_21": 1,
        "blocks_22_to_62": 41,
        "block_63": 1,
        "blocks_64_to_83": 20,
    }
    for config in (*VARIANTS.values(), dataclasses.replace(SMALL, widths=(16, 16), depths=(4, 1))):
        assert tuple(itertools.chain.from_iterable(config.runs.values())) == config.blocks
        assert not any(block.transition for run in config.runs.values() if len(run) > 1 for block in run)
    specs = nn.get_partition_spec(abstract(NFNetConfig()))["blocks_64_to_83"]
    assert specs["grouped_0"]["kernel"] == jax.sharding.PartitionSpec("layers", None, None, "conv_in", "conv_out")
    assert specs["skip_gain"] == jax.sharding.PartitionSpec("layers")


def test_a_scan_is_its_blocks_one_after_another():
    config, rng = dataclasses.replace(SMALL, depths=(1, 4), alpha=0.7), np.random.default_rng(0)
    params, pixels = drawn(config, rng), rng.integers(0, 256, (2, 40, 48, 3), np.uint8)
    assert "blocks_2_to_4" in params

    def one_by_one(params, pixels):
        activate = scaled_activation(config)
        x = (pixels - np.asarray(config.pixel_mean, np.float32)) / np.asarray(config.pixel_scale, np.float32)
        for index, (width, stride) in enumerate(zip(config.stem_widths, STEM_STRIDES, strict=True)):
            layer = ScaledConvolution(width, 3, config, stride)
            x = layer.apply({"params": params[f"stem_{index}"]}, activate(x) if index else x)
        for name, run in config.runs.items():
            for index, block in enumerate(run):
                own = params[name] if len(run) == 1 else jax.tree.map(lambda leaf, i=index: leaf[i], params[name])
                x, _ = NFBlock(block, config).apply({"params": own}, x, jnp.float32(block.beta))
        final = ScaledConvolution(config.output_width, 1, config)
        return activate(final.apply({"params": params["final"]}, x)).reshape(2, -1, config.output_width)

    hasty = {"xla_backend_optimization_level": 0}  # each program runs once
    features = jax.jit(config.make(jnp.float32).apply, compiler_options=hasty)({"params": params}, pixels)
    expected = jax.jit(one_by_one, compiler_options=hasty)(params, pixels)
    assert jnp.linalg.norm(features - expected) < 1e-5 * jnp.linalg.norm(expected)


def test_a_kernels_mean_and_scale_do_not_matter():
    rng = np.random.default_rng(0)
    layer = ScaledConvolution(16, 3, SMALL, groups=2)
    kernel, x = rng.standard_normal((3, 3, 4, 16), np.float32), rng.standard_normal((4, 48, 48, 8), np.float32)
    params = {"kernel": kernel, "gain": np.linspace(0.5, 2, 16), "bias": np.linspace(-1, 1, 16)}
    moved = params | {"kernel": 3 * kernel + np.linspace(-1, 1, 16)}
    apply = jax.jit(lambda params: layer.apply({"params": params}, x))
    y = apply(params)
    np.testing.assert_allclose(apply(moved), y, rtol=1e-4, atol=1e-4)
    # A standardized kernel has length `gain`: a normal input keeps its variance.
    np.testing.assert_allclose(np.std(y, axis=(0, 1, 2)), params["gain"], rtol=0.05)


def test_bfloat16_parameters_and_compute_follow_float32():
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (2, 70, 64, 3), np.uint8)
    params = {"params": drawn(SMALL, rng)}
    exact = jax.jit(SMALL.make(jnp.float32).apply)(params, pixels)
    params = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.bfloat16), params)
    rounded = jax.jit(SMALL.make(jnp.bfloat16).apply)(params, pixels)
    assert (exact.dtype, rounded.dtype) == (jnp.float32, jnp.bfloat16)
    assert jnp.linalg.norm(rounded - exact) < 0.03 * jnp.linalg.norm(exact)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"activation": "tanh"}, "must be one of gelu, gelu_tanh, relu, silu, got 'tanh'"),
        ({"depths": (1, 2, 3)}, "one for each of widths"),
        ({"depths": (1, 0)}, "must be positive"),
        ({"stem_widths": (16, 32)}, "must be 4 numbers"),
        ({"group_width": 16}, "a stage 16 wide has bottlenecks of 8 channels, less than one group of 16"),
    ],
)
def test_configs_that_cannot_be(changes, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(SMALL, **changes)
