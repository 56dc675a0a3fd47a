"""Leaves put together from parameters: what the devices get, in each way of storing it."""

import jax
import ml_dtypes
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from flamingo_jax.interop.assembly import assembly
from flamingo_jax.interop.budget import Budget
from flamingo_jax.interop.files.tensors import WeightsError
from flamingo_jax.models import quantized
from flamingo_jax.models.quantized import Quantized, quantize


def sharding(*spec) -> NamedSharding:
    mesh = Mesh(np.asarray(jax.devices()[:1]).reshape(1, 1), ("data", "tensor"))
    return NamedSharding(mesh, PartitionSpec(*spec))


@pytest.fixture
def stack() -> np.ndarray:
    """[2, 3, 8, 6]: two groups of three kernels."""
    return np.random.default_rng(0).normal(size=(2, 3, 8, 6)).astype(np.float32)


def fill(leaf, stack) -> None:
    for index in np.ndindex(2, 3):
        assert leaf.wants(index)
        leaf.put(index, stack[index], f"layer {index}")


@pytest.mark.parametrize("dtype", [np.float32, ml_dtypes.bfloat16])
def test_a_leaf_is_its_parameters(stack, dtype):
    leaf = assembly(jax.ShapeDtypeStruct(stack.shape, dtype, sharding=sharding(None, None, None, "tensor")))
    fill(leaf, stack)
    made = leaf.finish()
    assert made.dtype == dtype and made.sharding == sharding(None, None, None, "tensor")
    np.testing.assert_array_equal(np.asarray(made), stack.astype(dtype))


@pytest.mark.parametrize("piece", [1, 20, 1 << 24])
def test_a_leaf_in_8_bits_has_the_scales_of_whole_channels(stack, monkeypatch, piece):
    monkeypatch.setattr("flamingo_jax.interop.assembly._PIECE", piece)
    values = jax.ShapeDtypeStruct(stack.shape, np.int8, sharding=sharding(None, None, "tensor"))
    leaf = assembly(Quantized(values, jax.ShapeDtypeStruct((2, 3, 1, 6), np.float32, sharding=sharding())))
    fill(leaf, stack)
    made = leaf.finish()
    for index in np.ndindex(2, 3):
        expected = quantize(stack[index], (1, 6))
        np.testing.assert_array_equal(np.asarray(made.values)[index], expected[0])
        np.testing.assert_array_equal(np.asarray(made.scale)[index], expected[1])
    back = np.asarray(made.values) * np.asarray(made.scale)
    assert np.max(np.abs(back - stack) / np.asarray(made.scale)) <= 0.5 + 1e-4
    assert np.abs(np.asarray(made.values)).max() == quantized._LARGEST


def test_what_does_not_fit_the_storage_is_told_by_name():
    leaf = assembly(jax.ShapeDtypeStruct((2,), np.float16))
    with pytest.raises(WeightsError, match="language_model/x holds 1000000"):
        leaf.put((), np.array([1.0, 1e6], np.float32), "language_model/x")


def test_a_budget_lets_one_large_thing_pass_alone():
    budget = Budget(10)
    with budget.hold(25):
        assert budget._held == 25
    with budget.hold(4), budget.hold(6):
        assert budget._held == 10
    assert budget._held == 0
