"""The values that a run begins with, in each way of storing the frozen ones."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import traverse_util

from flamingo_jax.config import ConfigError
from flamingo_jax.interop.pretrained import PretrainedConfig
from flamingo_jax.models.quantized import Quantized
from flamingo_jax.training.design import Design
from flamingo_jax.training.setup import Setup, set_up


@pytest.fixture(scope="module")
def setups(tiny_config) -> dict[str, Setup]:
    def stored_in(dtype: str) -> Setup:
        pretrained = dataclasses.replace(tiny_config.pretrained, frozen_dtype=dtype)
        return set_up(Design.make(dataclasses.replace(tiny_config, pretrained=pretrained)))

    return {dtype: stored_in(dtype) for dtype in ("float32", "int8")}


def frozen(setup: Setup) -> dict:
    return traverse_util.flatten_dict(setup.frozen, sep="/")


def test_what_is_set_up_is_what_was_designed(setups):
    for setup in setups.values():
        for made, designed in ((setup.start(), setup.design.state), (setup.frozen, setup.design.frozen)):
            assert jax.tree.structure(made) == jax.tree.structure(designed)
            for leaf, expected in zip(jax.tree.leaves(made), jax.tree.leaves(designed), strict=True):
                assert (leaf.shape, leaf.dtype, leaf.sharding) == (expected.shape, expected.dtype, expected.sharding)


def test_the_storage_leaves_the_fingerprint_and_the_trainable_part_as_they_are(setups):
    plain, short = setups["float32"], setups["int8"]
    assert plain.fingerprint == short.fingerprint
    jax.tree.map(lambda a, b: np.testing.assert_array_equal(np.asarray(a), np.asarray(b)), plain.params, short.params)


def test_frozen_weights_in_8_bits_are_half_a_step_from_what_they_were(setups):
    plain, short = frozen(setups["float32"]), frozen(setups["int8"])
    weights = [path for path, leaf in short.items() if isinstance(leaf, Quantized)]
    assert "language_model/head/query/kernel" in weights or "language_model/groups/layers/query/kernel" in weights
    for path in weights:
        scale = np.asarray(short[path].scale)
        difference = np.asarray(short[path].values) * scale - np.asarray(plain[path])
        assert np.max(np.abs(difference) / scale) <= 0.5 + 1e-3, path
    for path in short.keys() - set(weights):
        assert short[path].dtype == jnp.bfloat16, path
    bits8 = sum(short[path].values.nbytes for path in weights)
    assert 2 * bits8 == sum(plain[path].astype(jnp.bfloat16).nbytes for path in weights)


def test_an_option_that_the_compiler_does_not_know_is_refused(tiny_config):
    config = dataclasses.replace(tiny_config, compiler_options={"xla_make_it_fast": True})
    with pytest.raises(ConfigError, match=r"compiler_options = .* on cpu devices: .*'xla_make_it_fast'"):
        set_up(Design.make(config))


def test_options_of_the_compiler_reach_the_step(tiny_config):
    design = Design.make(dataclasses.replace(tiny_config, compiler_options={"xla_make_it_fast": True}))
    ((_, batch),) = design.batches.items()
    with pytest.raises(jax.errors.JaxRuntimeError, match="'xla_make_it_fast'"):
        design.lower(batch).compile()


def test_another_storage_is_refused():
    with pytest.raises(ValueError, match=r"frozen_dtype is one of 'float32', 'bfloat16', 'int8', got 'int4'"):
        PretrainedConfig(frozen_dtype="int4")
