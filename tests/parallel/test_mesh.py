"""The device mesh: shapes, what does not fit, and a training step that does not notice the mesh."""

import jax
import pytest

from flamingo_jax import config as config_lib
from flamingo_jax.config import ConfigError
from flamingo_jax.parallel.mesh import AXES, MeshConfig, make_mesh
from flamingo_jax.training.run import RunConfig
from tests import tiny_run
from tests.parallel.eight_devices import MESHES, SHARDING


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
def test_so_they_are_with_every_set_of_rules_and_all_datasets(eight_devices_again, rules):
    compare(eight_devices_again, rules)


def test_every_set_of_rules_is_tried():
    assert {path.stem for path in SHARDING.glob("*.gin")} == set(MESHES)


@pytest.mark.parametrize(
    ("rules", "tensor", "shape"),
    [
        ("replicated", 1, (1, 8, 1, 1)),
        ("fsdp", 1, (1, 1, 8, 1)),
        ("fsdp_tensor", 2, (1, 1, 4, 2)),
        ("megatron_zero1", 4, (1, 1, 2, 4)),
    ],
)
def test_a_set_of_rules_uses_all_devices_by_itself(tmp_path, rules, tensor, shape):
    run = tmp_path / "tiny.gin"
    run.write_text(tiny_run.GIN.format(root="/nowhere"))
    files = [str(run), str(SHARDING / f"{rules}.gin")]
    found = config_lib.resolve(RunConfig, files, [f"mesh.MeshConfig.tensor = {tensor}"] if tensor > 1 else [])
    assert make_mesh(found.mesh, eight()).devices.shape == shape


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


def test_a_mistake_in_a_gin_file_is_one_line(tmp_path):
    run = tmp_path / "tiny.gin"
    run.write_text(tiny_run.GIN.format(root="/nowhere"))
    files = [str(run), str(SHARDING / "fsdp.gin")]
    with pytest.raises(ConfigError) as raised:
        config_lib.resolve(RunConfig, files, ['mesh.MeshConfig.moment_rules = (("embd", "fsdp"),)'])
    assert str(raised.value).splitlines() == [
        "MeshConfig.moment_rules: no axis of a parameter or activation is called 'embd'; did you mean 'embed'?"
    ]
