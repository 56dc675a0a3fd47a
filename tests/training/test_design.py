"""What a design refuses before any weights are read."""

import jax
import pytest

from flamingo_jax import config as config_lib
from flamingo_jax.config import ConfigError
from flamingo_jax.training.design import Design
from flamingo_jax.training.run import RunConfig
from tests import tiny_run

ROWS = [
    "interleaved.InterleavedConfig.batch_size=16",
    "pairs.PairsConfig.batch_size=8",
    "pairs.VideoConfig.batch_size=8",
]


@pytest.fixture(scope="module")
def make(tmp_path_factory):
    """Designs of the tiny run with `bindings`, on places for eight devices, all filled by the one that is here."""
    path = tmp_path_factory.mktemp("gin") / "tiny.gin"
    path.write_text(tiny_run.GIN.format(root="/nowhere"))
    return lambda *bindings: Design.make(
        config_lib.resolve(RunConfig, [str(path)], [*ROWS, *bindings]), jax.devices()[:1] * 8
    )


@pytest.mark.parametrize("count", [3, 5, 8, 32])
def test_a_merged_batch_is_cut_into_equal_parts_of_every_device(make, count):
    with pytest.raises(ConfigError, match=rf"a multiple of 8 on this mesh .*: merged \(32\) in {count} microbatches$"):
        make('mixture.MixtureConfig.strategy="merged"', f'run.RunConfig.microbatches={{"merged": {count}}}')


@pytest.mark.parametrize("count", [1, 2, 4])
def test_parts_that_are_equal_will_do(make, count):
    design = make('mixture.MixtureConfig.strategy="merged"', f'run.RunConfig.microbatches={{"merged": {count}}}')
    (batch,) = design.batches.values()
    assert batch["merged"]["tokens"].shape == (32, 48)


def test_each_dataset_of_a_merged_batch_is_shared_by_all_devices(make):
    with pytest.raises(ConfigError, match=r"a multiple of 8 on this mesh .*: pairs \(12\), clips \(4\)$"):
        make(
            'mixture.MixtureConfig.strategy="merged"',
            "pairs.PairsConfig.batch_size=12",
            "pairs.VideoConfig.batch_size=4",
        )
