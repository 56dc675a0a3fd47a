"""The Vision Transformer beside the goldens (`tests/interop/vision`): sizes, parameters, outputs, precision, errors."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from flax import traverse_util

from flamingo_jax.models.vision.vit import ViT, ViTConfig

TINY = ViTConfig(patch_size=4, width=16, num_layers=2, num_heads=2, hidden_width=24, image_size=12, norm_eps=1e-6)
FULL = dataclasses.replace(
    TINY, num_registers=3, post_norm=True, layer_scale=True, patch_bias=True, gated_dense=True, output="all"
)
SIGLIP = {"class_token": False, "class_position": False, "pre_norm": False, "post_norm": True, "patch_bias": True}
DINOV2 = {"pre_norm": False, "post_norm": True, "layer_scale": True, "patch_bias": True, "image_size": 518}


def images(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def abstract(config: ViTConfig):
    side = config.image_size
    image = jax.ShapeDtypeStruct((1, side, side, 3), jnp.uint8)
    return jax.eval_shape(config.make(jnp.float32).init, jax.random.key(0), image)["params"]


@pytest.fixture(scope="module")
def params():
    return jax.jit(ViT(FULL).init)(jax.random.key(0), images(1, 12, 12, 3))


# Of the peers' modules without pooling, classifier and mask token: CLIPVisionModel with and without its last norm,
# SiglipVisionModel, timm's vit_*_dinov2 (whose register variants have no class position) and Dinov2Model's giant.
@pytest.mark.parametrize(
    ("config", "count"),
    [
        (ViTConfig(), 303_177_728),
        (ViTConfig(post_norm=True), 303_179_776),
        (ViTConfig(width=1280, num_layers=32, hidden_width=5120, post_norm=True), 630_766_080),
        (ViTConfig(width=1152, num_layers=27, hidden_width=4304, image_size=384, **SIGLIP), 412_987_248),
        (ViTConfig(width=384, num_layers=12, num_heads=6, hidden_width=1536, **DINOV2), 22_056_192),
        (
            ViTConfig(
                width=384,
                num_layers=12,
                num_heads=6,
                hidden_width=1536,
                num_registers=4,
                class_position=False,
                **DINOV2,
            ),
            22_057_344,
        ),
        (ViTConfig(width=768, num_layers=12, num_heads=12, hidden_width=3072, **DINOV2), 86_579_712),
        (ViTConfig(**DINOV2), 304_367_616),
        (
            ViTConfig(width=1536, num_layers=40, num_heads=24, hidden_width=4096, gated_dense=True, **DINOV2),
            1_136_479_232,
        ),
    ],
)
def test_parameters_of_the_published_sizes(config, count):
    assert sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(abstract(config))) == count


def test_parameter_names_and_axes():
    boxed = abstract(FULL)
    shapes = {name: leaf.shape for name, leaf in traverse_util.flatten_dict(nn.meta.unbox(boxed), sep="/").items()}
    norms = {f"{name}/{part}": (16,) for name in ("pre_norm", "post_norm") for part in ("scale", "bias")}
    layer = {f"{name}/{part}": (16,) for name in ("attention_norm", "dense_norm") for part in ("scale", "bias")}
    for name in ("query", "key", "value"):
        layer |= {f"{name}/kernel": (16, 2, 8), f"{name}/bias": (2, 8)}
    layer |= {"output/kernel": (2, 8, 16), "output/bias": (16,), "attention_scale": (16,), "dense_scale": (16,)}
    for name in ("gate", "up"):
        layer |= {f"{name}/kernel": (16, 24), f"{name}/bias": (24,)}
    layer |= {"down/kernel": (24, 16), "down/bias": (16,)}
    assert shapes == {
        "patch/kernel": (4, 4, 3, 16),
        "patch/bias": (16,),
        "class_token": (16,),
        "register_tokens": (3, 16),
        "position_embedding": (10, 16),
        **norms,
        **{f"layers/{name}": (2, *shape) for name, shape in layer.items()},
    }
    specs = traverse_util.flatten_dict(nn.get_partition_spec(boxed), sep="/")
    assert all(len(spec) == len(shapes[name]) for name, spec in specs.items())
    assert specs["layers/query/kernel"] == jax.sharding.PartitionSpec(
        "layers", "visual_embed", "visual_heads", "head_dim"
    )
    assert specs["layers/up/kernel"] == jax.sharding.PartitionSpec("layers", "visual_embed", "visual_mlp")


def test_patches_are_the_last_of_all_tokens(params):
    batch = images(2, 12, 12, 3)
    everything = jax.jit(ViT(FULL).apply)(params, batch)
    assert everything.shape == (2, 1 + 3 + 9, FULL.output_width)
    patches = jax.jit(ViT(dataclasses.replace(FULL, output="patches")).apply)(params, batch)
    np.testing.assert_allclose(patches, everything[:, 4:], rtol=0, atol=1e-6)


def test_what_fills_no_patch_is_not_looked_at(params):
    apply, batch = jax.jit(ViT(FULL).apply), images(1, 15, 10, 3)
    np.testing.assert_array_equal(apply(params, batch), apply(params, batch[:, :12, :8]))
    assert not np.allclose(apply(params, batch[:, :12, :8]), apply(params, batch[:, 3:, 2:]), atol=1e-3)
    with pytest.raises(ValueError, match=r"images of 3 x 12 pixels hold no patch of 4 x 4"):
        jax.eval_shape(ViT(FULL).apply, params, images(1, 3, 12, 3))


def test_patches_stand_row_by_row(params):
    """A changed pixel changes the features of its own patch most, in an encoder whose layers do next to nothing."""
    params = jax.tree_util.tree_map_with_path(
        lambda path, leaf: leaf * 0.01 if "scale" in str(path) and "layers" in str(path) else leaf, params
    )
    apply, batch = jax.jit(ViT(dataclasses.replace(FULL, output="patches")).apply), images(1, 12, 8, 3)
    changed = batch.copy()
    changed[0, 9, 2] ^= 128  # row 2, column 0 of 3 x 2 patches
    difference = np.abs(apply(params, changed) - apply(params, batch)).max(axis=(0, 2))
    assert difference.argmax() == 4


def test_bfloat16(params):
    batch = images(2, 8, 12, 3)
    exact = jax.jit(ViT(FULL).apply)(params, batch)
    half = jax.jit(ViT(FULL, jnp.bfloat16).apply)(params, batch)
    assert half.dtype == jnp.bfloat16
    assert np.sqrt(np.mean(np.square(half.astype(np.float32) - exact))) < 0.03 * np.sqrt(np.mean(np.square(exact)))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"output": "class"}, "ViTConfig.output must be one of 'patches', 'all', got 'class'"),
        ({"interpolation": "nearest"}, "ViTConfig.interpolation must be one of 'bicubic', .*, got 'nearest'"),
        ({"activation": "tanh"}, "unknown activation 'tanh'"),
        ({"num_heads": 3}, "a width of 16 does not divide into 3 heads"),
        ({"image_size": 3}, "images of 3 pixels hold no patch of 4"),
        ({"class_token": False}, "class_position needs a class_token"),
    ],
)
def test_config_errors(fields, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(TINY, **fields)
