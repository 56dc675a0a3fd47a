"""Checkpoints hold exactly what was saved, a failed write costs nothing that was complete, and damage is told."""

import contextlib
import gc
import os
import resource
import shutil
import subprocess
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flamingo_jax.training.checkpoint_errors import CheckpointError, DamagedError
from flamingo_jax.training.checkpoints import CheckpointConfig, Checkpoints
from flamingo_jax.training.health import healthy
from flamingo_jax.training.position import Position
from flamingo_jax.training.state import TrainState

# Orbax abandons what it was doing when a write or a read fails; that is noise beside the error.
pytestmark = [
    pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
CONFIGURATION = '{"steps": 5}'
CONFIG = CheckpointConfig(every=1, keep=20)
FINGERPRINT = "0123456789abcdef" * 4


def state(step: int, size: int = 100_000) -> TrainState:
    """Values that tell the step, and do not compress."""
    rng = np.random.default_rng(step)
    matrix = jnp.asarray(rng.normal(size=(size // 100, 100)).astype(np.float32))
    params = {"resampler": {"latents": matrix}, "gate": jnp.asarray(rng.normal(size=7).astype(np.float32))}
    moments = jax.tree.map(lambda leaf: leaf * 2, params)
    health = jax.tree.map(jnp.asarray, healthy(["m3w"]))._replace(mean={"m3w": jnp.float32(1 + step % 3)})
    return TrainState(jnp.asarray(step, jnp.int32), params, (moments, jnp.asarray(step, jnp.int32)), health)


def same(a: TrainState, b: TrainState) -> bool:
    return all(jax.tree.leaves(jax.tree.map(np.array_equal, a, b)))


def save(checkpoints: Checkpoints, step: int) -> None:
    write(checkpoints, state(step), step)


def write(checkpoints: Checkpoints, values: TrainState, step: int) -> None:
    position = Position(step, step + 7, {"tokens/m3w": step * 10}, roll_backs=1)
    checkpoints.save(values, position, CONFIGURATION, FINGERPRINT, {"m3w": 1.0})


def restore(checkpoints: Checkpoints, step: int) -> TrainState:
    return checkpoints.restore(step, state(0), FINGERPRINT).state


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


def test_what_is_restored_is_what_was_saved(workdir):
    with Checkpoints(workdir, CONFIG) as checkpoints:
        assert checkpoints.latest == 2
        assert same(restore(checkpoints, 1), state(1))
        shapes = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), state(0))
        restored = checkpoints.restore(2, shapes, FINGERPRINT)
        assert isinstance(restored.state, TrainState)
        assert same(restored.state, state(2))
        assert restored.position == Position(2, 9, {"tokens/m3w": 20}, roll_backs=1)
        facts = checkpoints.facts(2)
        assert (facts["frozen_fingerprint"], facts["config"]) == (FINGERPRINT, CONFIGURATION)


def test_values_are_those_of_the_time_of_saving_though_the_next_step_reuses_their_memory(tmp_path):
    step = jax.jit(lambda old: jax.tree.map(lambda leaf: leaf * 0 - 1, old), donate_argnums=0)
    control = state(0)
    step(control)
    assert control.params["gate"].is_deleted()  # this program does take over its input's memory
    with Checkpoints(tmp_path, CONFIG) as checkpoints:
        for number in range(1, 7):
            now = state(number)
            write(checkpoints, now, number)
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
        with pytest.raises(DamagedError, match=r"the checkpoint of step 2 in .* is damaged: ") as raised:
            restore(checkpoints, 2)
        assert str(folder.parent) in str(raised.value)
        assert len(str(raised.value)) < 800
        newest = checkpoints.restore_newest(state(0), FINGERPRINT)
        assert same(newest.state, state(1))
        assert newest.position.step == checkpoints.latest == 1
        assert (workdir / "damaged/2").is_dir() and not folder.exists()
        assert "step 2" in (workdir / "damaged/2.txt").read_text()
        save(checkpoints, 2)
        checkpoints.wait()
        assert same(restore(checkpoints, 2), state(2))


def test_without_a_whole_checkpoint_a_run_does_not_begin_anew(workdir):
    for step in (1, 2):
        cut_data(workdir / f"checkpoints/{step}")
    told = pytest.raises(CheckpointError, match=r"all checkpoints of .* were damaged; they lie in .*damaged")
    with Checkpoints(workdir, CONFIG) as checkpoints, told:
        checkpoints.restore_newest(state(0), FINGERPRINT)
    with Checkpoints(workdir, CONFIG) as checkpoints:
        with pytest.raises(CheckpointError, match=r"all checkpoints of .* were damaged"):  # nor at the next start
            checkpoints.restore_newest(state(0), FINGERPRINT)
        shutil.rmtree(workdir / "damaged")
        assert checkpoints.restore_newest(state(0), FINGERPRINT) is None


def test_a_checkpoint_under_another_steps_name_is_damaged(workdir):
    folder = workdir / "checkpoints"
    shutil.rmtree(folder / "2")
    shutil.copytree(folder / "1", folder / "2")
    with Checkpoints(workdir, CONFIG) as checkpoints, pytest.raises(DamagedError, match="it is the one of step 1"):
        restore(checkpoints, 2)


def test_going_back_deletes_what_is_newer(tmp_path):
    with Checkpoints(tmp_path, CONFIG) as checkpoints:
        for step in range(1, 6):
            save(checkpoints, step)
        seen = []
        back = checkpoints.restore_newest(state(0), FINGERPRINT, lambda facts: seen.append(facts["step"]), back=3)
        assert same(back.state, state(3)) and seen == [3]
        assert checkpoints.steps == [1, 2, 3]
        assert checkpoints.restore_newest(state(0), FINGERPRINT, back=9).position.step == 1
        assert checkpoints.steps == [1]


def test_the_datasets_may_change(workdir):
    """What is known of one that stays is kept; a new one has not been seen yet; one that went is forgotten."""
    like = state(0)._replace(health=jax.tree.map(jnp.asarray, healthy(["m3w", "clips"])))
    with Checkpoints(workdir, CONFIG) as checkpoints:
        health = checkpoints.restore(2, like, FINGERPRINT).state.health
        assert {name: float(mean) for name, mean in health.mean.items()} == {"m3w": 3.0, "clips": 0.0}
        gone = checkpoints.restore(2, like._replace(health=jax.tree.map(jnp.asarray, healthy([]))), FINGERPRINT).state
    assert gone.health.mean == {} and same(gone._replace(health=0), state(2)._replace(health=0))


def test_who_refuses_leaves_everything_in_place(workdir):
    def refuse(facts):
        raise ValueError("not this one")

    with Checkpoints(workdir, CONFIG) as checkpoints:
        with pytest.raises(ValueError, match="not this one"):
            checkpoints.restore_newest(state(0), FINGERPRINT, refuse)
        assert checkpoints.steps == [1, 2]


def with_mean(step: int, mean: float) -> TrainState:
    health = jax.tree.map(jnp.asarray, healthy(["m3w"]))
    health = health._replace(mean={"m3w": jnp.float32(mean)}, count={"m3w": jnp.int32(step)})
    return state(step)._replace(health=health)


def test_what_is_kept(tmp_path):
    """The newest two, every fourth, and the best, also after a restart; one that has seen nothing is not the best."""
    config = CheckpointConfig(every=1, keep=2, keep_every=4, keep_best=1, best="loss/m3w")
    means = [0.0, 5.0, 1.5, 4.0, 6.0, 7.0, 1.0, 8.0, 9.0, 3.0, 3.0, 3.0]
    for first, last, kept in ((0, 6, {4, 2, 5, 0}), (6, 9, {4, 6, 7, 8, 0}), (9, 12, {4, 6, 8, 10, 11, 0})):
        with Checkpoints(tmp_path, config) as checkpoints:
            for step in range(first, last):
                write(checkpoints, with_mean(step, means[step]), step)
                checkpoints.wait()
            assert set(checkpoints.steps) == kept


def test_what_killed_saves_left_is_removed_by_the_run_and_by_nobody_else(workdir):
    left = workdir / "checkpoints/9.orbax-checkpoint-tmp"
    shutil.copytree(workdir / "checkpoints/1", left)
    with Checkpoints(workdir, CONFIG, read_only=True) as checkpoints:
        assert same(restore(checkpoints, 2), state(2)) and left.exists()
    with Checkpoints(workdir, CONFIG):
        pass
    assert not left.exists()


def test_a_stop_in_the_midst_of_a_save_does_not_hang(workdir, monkeypatch):
    class Stopped(BaseException):
        """Like KeyboardInterrupt, which pytest would take for its own."""

    def stop(tree):
        raise Stopped

    monkeypatch.setattr("flamingo_jax.training.checkpoints.Checksums", stop)
    with pytest.raises(Stopped), Checkpoints(workdir, CONFIG) as checkpoints:
        save(checkpoints, 3)
    assert sorted(path.name for path in (workdir / "checkpoints").iterdir() if path.name.isdigit()) == ["1", "2"]


@pytest.mark.parametrize(
    "error", [PermissionError(13, "denied"), OSError(5, "I/O error"), ValueError("UNAVAILABLE: away"), MemoryError()]
)
def test_what_cannot_be_read_now_is_not_damaged(workdir, monkeypatch, error):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr("flamingo_jax.training.checkpoints.ocp.StandardCheckpointHandler.restore", fail)
    with Checkpoints(workdir, CONFIG) as checkpoints:
        with pytest.raises(CheckpointError, match=r"cannot read the checkpoint of step 2 in .* now: ") as raised:
            checkpoints.restore_newest(state(0), FINGERPRINT)
        assert not isinstance(raised.value, DamagedError)
        assert checkpoints.steps == [1, 2] and not (workdir / "damaged").exists()


def test_time_asks_for_a_checkpoint(tmp_path, monkeypatch):
    now = [100.0]
    monkeypatch.setattr("flamingo_jax.training.checkpoints.time.monotonic", lambda: now[0])
    with Checkpoints(tmp_path, CheckpointConfig(minutes=2)) as checkpoints:
        now[0] += 119
        assert not checkpoints.overdue
        now[0] += 2
        assert checkpoints.overdue
        save(checkpoints, 1)
        assert not checkpoints.overdue
    with Checkpoints(tmp_path, CheckpointConfig()) as checkpoints:
        now[0] += 1e9
        assert not checkpoints.overdue


def test_a_checkpoint_of_another_shape_is_refused(workdir):
    with Checkpoints(workdir, CONFIG) as checkpoints, pytest.raises(CheckpointError, match="other arrays") as raised:
        checkpoints.restore(2, state(0, size=200), FINGERPRINT)
    assert not isinstance(raised.value, DamagedError)
