"""The device mesh: shapes, what does not fit, and a training step that does not notice the mesh."""

from pathlib import Path

import jax
import pytest

from flamingo_jax.config import ConfigError
from flamingo_jax.parallel.mesh import AXES, MeshConfig, make_mesh
from tests.parallel.eight_devices import MESHES


def eight() -> list[jax.Device]:
    """Places for eight devices, all filled by the one that is here: a mesh has only a shape until it computes."""
    return jax.devices()[:1] * 8


@pytest.mark.parametrize(
    ("config", "shape"),
    [
        (MeshConfig(), (1, 8, 1, 1)),
        (MeshConfig(data=8), (1, 8, 1, 1)),
        (MeshConfig(data=2, fsdp=4), (1, 2, 4, 1)),
        (MeshConfig(data=2, fsdp=-1), (1, 2, 4, 1)),
        (MeshConfig(replica=2, data=-1, tensor=2), (2, 2, 1, 2)),
        (MeshConfig(data=1, fsdp=1, tensor=8), (1, 1, 1, 8)),
        (MeshConfig(data=8, fsdp=-1), (1, 8, 1, 1)),
    ],
)
def test_shapes(config, shape):
    mesh = make_mesh(config, eight())
    assert dict(mesh.shape) == dict(zip(AXES, shape, strict=True))


def test_all_devices_by_default():
    assert make_mesh(MeshConfig()).size == len(jax.devices())


@pytest.mark.parametrize(
    ("config", "named"),
    [
        (MeshConfig(data=4), "data=4"),
        (MeshConfig(data=-1, fsdp=3), "fsdp=3"),
        (MeshConfig(data=-1, fsdp=-1), "data=-1, fsdp=-1"),
        (MeshConfig(data=16), "data=16"),
        (MeshConfig(replica=3, data=3), "replica=3"),
    ],
)
def test_what_does_not_fit_is_told(config, named):
    with pytest.raises(ConfigError, match=rf"{named}.* does not fit 8 devices"):
        make_mesh(config, eight())


@pytest.mark.parametrize("rules", ["fsdp", "megatron_zero1"])
def test_steps_on_eight_devices_are_the_steps_on_one(eight_devices, rules):
    compare(eight_devices, rules)


@pytest.mark.slow
@pytest.mark.parametrize("rules", list(MESHES))
def test_so_they_are_with_the_other_rules(eight_devices_again, rules):
    compare(eight_devices_again, rules)


def test_every_set_of_rules_is_tried():
    folder = Path(__file__).parents[2] / "gin" / "sharding"
    assert {path.stem for path in folder.glob("*.gin")} == set(MESHES)


def compare(report: dict, rules: str) -> None:
    """Losses of five steps, and every parameter after them."""
    alone, here = report["alone"], report[rules]
    assert here["losses"] == pytest.approx(alone["losses"], rel=1e-5)
    assert here["difference"].keys() == alone["moved"].keys()
    for path, difference in here["difference"].items():
        assert alone["moved"][path] > 1e-3, f"{path} hardly moved: the comparison says nothing"
        assert difference < 1e-5, path


@pytest.mark.parametrize("size", [0, -2, 1.5])
def test_an_axis_of_no_size_is_refused(size):
    with pytest.raises(ConfigError, match=r"MeshConfig\.fsdp must be a positive integer"):
        MeshConfig(fsdp=size)
