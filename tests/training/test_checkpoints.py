"""Checkpoints hold exactly what was saved, a failed write costs nothing that was complete, and damage is told."""

import contextlib
import dataclasses
import gc
import json
import os
import resource
import shutil
import subprocess
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flamingo_jax import config as config_lib
from flamingo_jax.training.checkpoints import CheckpointConfig, CheckpointError, Checkpoints
from flamingo_jax.training.optimizer import OptimizerConfig
from flamingo_jax.training.state import TrainState
from tests import tiny

# Orbax abandons what it was doing when a write or a read fails; that is noise beside the error.
pytestmark = [
    pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
RUN = {"model": {"language": OptimizerConfig({}, learning_rate=1.0)}}
CONFIG = CheckpointConfig(every=1, keep=20)
FINGERPRINT = "0123456789abcdef" * 4


def state(step: int, size: int = 100_000) -> TrainState:
    """Values that tell the step, and do not compress."""
    rng = np.random.default_rng(step)
    matrix = jnp.asarray(rng.normal(size=(size // 100, 100)).astype(np.float32))
    params = {"resampler": {"latents": matrix}, "gate": jnp.asarray(rng.normal(size=7).astype(np.float32))}
    moments = jax.tree.map(lambda leaf: leaf * 2, params)
    return TrainState(jnp.asarray(step, jnp.int32), params, (moments, jnp.asarray(step, jnp.int32)))


def same(a: TrainState, b: TrainState) -> bool:
    return all(jax.tree.leaves(jax.tree.map(np.array_equal, a, b)))


def save(checkpoints: Checkpoints, step: int) -> None:
    checkpoints.save(state(step), RUN, FINGERPRINT)


def restore(checkpoints: Checkpoints, step: int) -> TrainState:
    return checkpoints.restore(step, state(0), FINGERPRINT)


@pytest.fixture
def workdir(tmp_path) -> Path:
    """A workdir with complete checkpoints of steps 1 and 2."""
    with Checkpoints(tmp_path, CONFIG) as checkpoints:
        save(checkpoints, 1)
        save(checkpoints, 2)
    return tmp_path


@pytest.fixture(autouse=True)
def _abandoned_now():
    """What a test made Orbax abandon is collected within it."""
    yield
    gc.collect()


def test_how_a_model_is_computed_may_change(tmp_path):
    with Checkpoints(tmp_path, CONFIG) as checkpoints:
        checkpoints.save(state(1), {"model": {"dtype": "float32", "num_new_tokens": 1}}, FINGERPRINT)
        checkpoints.wait()
        now = {"dtype": "bfloat16", "attention": "flash", "remat": "full", "unroll": True, "num_new_tokens": 1}
        assert same(checkpoints.restore(1, state(0), FINGERPRINT, now), state(1))
        with pytest.raises(CheckpointError, match=r"another model \(changed: num_new_tokens\)"):
            checkpoints.restore(1, state(0), FINGERPRINT, now | {"num_new_tokens": 3})


def test_a_field_that_came_later_had_its_default(tmp_path):
    model = tiny.config()
    saved = json.loads(config_lib.to_json({"model": model}))
    del saved["model"]["grafted_layers"], saved["model"]["language"]["qkv_bias"]
    with Checkpoints(tmp_path, CONFIG) as checkpoints:
        checkpoints.save(state(1), saved, FINGERPRINT)
        checkpoints.wait()
        assert same(checkpoints.restore(1, state(0), FINGERPRINT, model), state(1))
        changed = dataclasses.replace(model, language=dataclasses.replace(model.language, qkv_bias=True))
        with pytest.raises(CheckpointError, match=r"another model \(changed: language\)"):
            checkpoints.restore(1, state(0), FINGERPRINT, changed)


def test_what_is_restored_is_what_was_saved(workdir):
    with Checkpoints(workdir, CONFIG) as checkpoints:
        assert checkpoints.latest == 2
        assert same(restore(checkpoints, 1), state(1))
        shapes = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), state(0))
        restored = checkpoints.restore(2, shapes, FINGERPRINT)
        assert isinstance(restored, TrainState)
        assert same(restored, state(2))
        facts = checkpoints.facts(2)
        assert (facts["step"], facts["data_step"], facts["frozen_fingerprint"]) == (2, 2, FINGERPRINT)


def test_values_are_those_of_the_time_of_saving_though_the_next_step_reuses_their_memory(tmp_path):
    step = jax.jit(lambda old: jax.tree.map(lambda leaf: leaf * 0 - 1, old), donate_argnums=0)
    control = state(0)
    step(control)
    assert control.params["gate"].is_deleted()  # this program does take over its input's memory
    with Checkpoints(tmp_path, CONFIG) as checkpoints:
        for number in range(1, 7):
            now = state(number)
            checkpoints.save(now, RUN, FINGERPRINT)
            jax.block_until_ready(step(now))
        checkpoints.wait()
        for number in range(1, 7):
            assert same(restore(checkpoints, number), state(number)), number


def test_due_and_keep(tmp_path):
    with Checkpoints(tmp_path, CheckpointConfig(every=3, keep=2)) as checkpoints:
        assert [step for step in range(1, 10) if checkpoints.due(step)] == [3, 6, 9]
        for step in (3, 6, 9, 11):
            save(checkpoints, step)
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == ["11", "9"]


def test_a_step_that_is_there_is_not_written_again(workdir):
    before = {path: path.stat().st_mtime_ns for path in workdir.rglob("*")}
    with Checkpoints(workdir, CONFIG) as checkpoints:
        save(checkpoints, 2)
    assert {path: path.stat().st_mtime_ns for path in workdir.rglob("*")} == before


@contextlib.contextmanager
def files_of_at_most(size: int):
    """A limit that the system enforces: writing beyond it fails as on a full disk (the limit is this process's)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_failed_write_is_one_error_and_what_was_complete_stays(workdir):
    with (
        pytest.raises(
            CheckpointError, match=r"step 2 is complete.*File too large.*run the same command again"
        ) as raised,
        Checkpoints(workdir, CONFIG) as checkpoints,
        files_of_at_most(50_000),
    ):
        save(checkpoints, 3)
        checkpoints.wait()
    assert str(workdir) in str(raised.value)
    assert "\n" not in str(raised.value)
    steps = [path.name for path in (workdir / "checkpoints").iterdir() if path.name.isdigit()]
    assert sorted(steps) == ["1", "2"]
    with Checkpoints(workdir, CONFIG) as checkpoints:
        assert checkpoints.latest == 2
        assert same(restore(checkpoints, 2), state(2))
        save(checkpoints, 3)  # with room again the run goes on
        checkpoints.wait()
        assert same(restore(checkpoints, 3), state(3))
    assert sorted(path.name for path in (workdir / "checkpoints").iterdir()) == ["1", "2", "3"]


def test_the_next_save_tells_of_the_failed_one_before(tmp_path):
    """A run that only saves, as the loop does, hears of it."""
    with pytest.raises(CheckpointError, match=r"there is no earlier one.*File too large"):  # noqa: SIM117
        with Checkpoints(tmp_path, CONFIG) as checkpoints, files_of_at_most(50_000):
            for step in range(1, 20):
                save(checkpoints, step)
    with Checkpoints(tmp_path, CONFIG) as checkpoints:
        assert checkpoints.latest is None


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 2 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    if os.geteuid() or shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("may not mount a file system")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_full_disk(small_disk):
    """Each checkpoint has 0.8 MB: the third does not fit."""
    with (
        pytest.raises(CheckpointError, match=r"the one of step 2 is complete.*No space left on device"),
        Checkpoints(small_disk, CONFIG) as checkpoints,
    ):
        for step in range(1, 5):
            save(checkpoints, step)
            checkpoints.wait()
    with Checkpoints(small_disk, CONFIG) as checkpoints:
        assert checkpoints.latest == 2
        assert same(restore(checkpoints, 2), state(2))


def cut_data(folder: Path) -> None:
    for path in [*(folder / "state").rglob("d/*")]:
        path.write_bytes(path.read_bytes()[:20])


def turn_bits(folder: Path) -> None:
    for path in [*(folder / "state").rglob("d/*")]:
        path.write_bytes(bytes(255 - byte for byte in path.read_bytes()))


@pytest.mark.parametrize(
    "damage",
    [
        cut_data,
        turn_bits,
        lambda folder: shutil.rmtree(folder / "state"),
        lambda folder: (folder / "state/_METADATA").write_text("{"),
        lambda folder: (folder / "facts/metadata").write_text("not json"),
        lambda folder: shutil.rmtree(folder / "facts"),
    ],
    ids=["cut", "bits", "no state", "state metadata", "facts", "no facts"],
)
def test_a_damaged_checkpoint_is_told_and_its_neighbour_still_serves(workdir, damage):
    folder = workdir / "checkpoints" / "2"
    damage(folder)
    with Checkpoints(workdir, CONFIG) as checkpoints:
        with pytest.raises(CheckpointError, match=r"cannot read the checkpoint of step 2.*remove its folder") as raised:
            restore(checkpoints, 2)
        assert str(folder) in str(raised.value)
        assert len(str(raised.value)) < 800
        assert same(restore(checkpoints, 1), state(1))


def test_a_checkpoint_of_another_shape_is_refused(workdir):
    with Checkpoints(workdir, CONFIG) as checkpoints, pytest.raises(CheckpointError, match="cannot read"):
        checkpoints.restore(2, state(0, size=200), FINGERPRINT)
