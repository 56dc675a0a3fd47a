"""Where activations lie, on meshes whose devices are not there."""

import jax
import pytest
from flax import linen as nn
from jax.sharding import AbstractMesh, PartitionSpec

from flamingo_jax.models.sharding import constrain, parts_of, spec

MESH = AbstractMesh((2, 3, 4), ("data", "fsdp", "tensor"))
RULES = (("image_batch", ("data", "fsdp", "tensor")),)


@pytest.fixture(autouse=True)
def in_force():
    with jax.sharding.use_abstract_mesh(MESH), nn.logical_axis_rules(RULES):
        yield


@pytest.mark.parametrize(
    ("size", "axes"),
    [
        (48, ("data", "fsdp", "tensor")),
        (12, ("data", "fsdp")),  # not over 24 devices, so over the first axes
        (4, ("data",)),
        (7, None),
    ],
)
def test_what_does_not_divide_is_cut_by_fewer_axes(size, axes):
    assert spec((size, 8), "image_batch", None) == PartitionSpec(axes, None)


@pytest.mark.parametrize(("size", "parts"), [(0, 24), (48, 24), (12, 6), (4, 2), (7, 1)])
def test_parts_are_what_an_axis_is_cut_into(size, parts):
    assert parts_of("image_batch", size) == parts


def test_without_rules_nothing_is_cut():
    with nn.logical_axis_rules(()):
        assert parts_of("image_batch") == 1
        x = jax.numpy.zeros((6, 8))
        assert constrain(x, "image_batch", None) is x
