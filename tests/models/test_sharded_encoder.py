"""Encoders whose weights are cut over the devices that share the images, compiled for a TPU slice."""

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.sharding import NamedSharding, PartitionSpec

from flamingo_jax.models.vision.vit import ViTConfig
from flamingo_jax.parallel.mesh import AXES
from flamingo_jax.parallel.rules import param_shardings
from flamingo_jax.planning import hlo
from flamingo_jax.planning.collectives import kind_of
from tests.planning import tpu

RULES = (("image_batch", ("replica", "data", "fsdp")), ("visual_embed", "fsdp"))


@tpu.needs_libtpu
def test_a_vision_transformer_gathers_weights_and_leaves_images_where_they_are():
    _, mesh = tpu.make("v5e:2x4", (1, 1, 8, 1), AXES)
    module = ViTConfig(patch_size=4, width=64, num_layers=2, num_heads=2, hidden_width=128, image_size=16).make(
        jnp.bfloat16
    )
    images = jax.ShapeDtypeStruct((64, 16, 16, 3), jnp.uint8, sharding=NamedSharding(mesh, PartitionSpec("fsdp")))
    boxed = jax.eval_shape(module.init, jax.random.key(0), images)["params"]
    params = jax.tree.map(
        lambda leaf, sharding: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding),
        nn.meta.unbox(boxed),
        param_shardings(boxed, mesh, RULES),
    )
    with nn.logical_axis_rules(RULES), jax.set_mesh(mesh):
        program = hlo.parse(tpu.text(module.apply, {"params": params}, images))
    exchanged = [each for where in program.computations.values() for each in where if kind_of(each) is not None]
    assert "all-gather" in map(kind_of, exchanged)
    layer = max(leaf.size // (2 if "layers" in str(path) else 1) for path, leaf in jax.tree.leaves_with_path(params))
    assert max(array.elements for each in exchanged for array in each.arrays) <= layer  # states of 64 images are larger
