"""NFNet's arithmetic beside the goldens (`tests/interop/vision/test_nfnet.py`): counts, constants, sizes, precision."""

import dataclasses
import json
import math
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from flamingo_jax.models.vision.nfnet import VARIANTS, NFNetConfig, ScaledConvolution

GOLDENS = pathlib.Path(__file__).parents[1] / "goldens"
SMALL = NFNetConfig(depths=(1, 2), widths=(16, 32), stem_widths=(2, 4, 8, 16), group_width=8)
SEED = jax.random.key(0)


def images(height: int, width: int) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct((2, height, width, 3), jnp.uint8)


@pytest.mark.parametrize("variant", VARIANTS)
def test_variants_have_as_many_parameters_as_timms(variant):
    config = VARIANTS[variant]
    params = jax.eval_shape(config.make(jnp.float32).init, SEED, images(64, 64))
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
    shapes = nn.meta.unbox(jax.eval_shape(SMALL.make(jnp.float32).init, SEED, pixels))
    params = jax.tree.map(lambda leaf: rng.standard_normal(leaf.shape, np.float32) / 2, shapes)
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
