"""Fixtures that several folders of tests share."""

import os
from pathlib import Path

import hypothesis
import jax
import pytest

from flamingo_jax import config
from flamingo_jax.parallel.topology import compiler_environment
from flamingo_jax.training.run import RunConfig
from tests import hasty, tiny_run


def pytest_configure(config):
    """Tests run on the CPU, and compile for TPUs. Programs that several tests, and processes of theirs, share are
    compiled once."""
    os.environ.update(compiler_environment())
    flags = os.environ.get("XLA_FLAGS", "")
    os.environ["XLA_FLAGS"] = hasty.xla_flags(flags, libtpu=False)
    jax.devices()  # JAX reads the flags here and never again; below is what libtpu and child processes read
    os.environ["XLA_FLAGS"] = hasty.xla_flags(flags)
    if hasattr(config, "cache"):  # not with `-p no:cacheprovider`
        folder = str(config.cache.mkdir("xla"))
        jax.config.update("jax_compilation_cache_dir", folder)
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)
        os.environ["JAX_COMPILATION_CACHE_DIR"] = folder
        os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.5"
    # The same examples each time, however busy the machine is: `--hypothesis-profile=default` looks for others.
    hypothesis.settings.load_profile("ci")


@pytest.fixture(scope="session")
def tiny_gin(tmp_path_factory) -> Path:
    """The gin file of a tiny run with its own weights, tokenizer and datasets."""
    return tiny_run.write(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def tiny_config(tiny_gin) -> RunConfig:
    """The same, resolved."""
    return config.resolve(RunConfig, [str(tiny_gin)], [])
