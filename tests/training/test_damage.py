"""Whatever happens to the files of a checkpoint: what is restored is what was saved, or nothing."""

import collections
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flamingo_jax.training.checkpoint_errors import CheckpointError
from flamingo_jax.training.checkpoints import CheckpointConfig, Checkpoints
from flamingo_jax.training.health import healthy
from flamingo_jax.training.position import Position
from flamingo_jax.training.state import TrainState

# Orbax abandons what it was doing when a read fails; that is noise beside the error.
pytestmark = [
    pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
CONFIG = CheckpointConfig(keep=5)
OLD, NEW = 10, 20


def state(step: int) -> TrainState:
    """Of all the kinds of arrays that there are: large and small, compressible and not, scalars."""
    rng = np.random.default_rng(step)
    params = {
        "resampler": {"latents": rng.normal(size=(200, 30)).astype(np.float32), "zeros": np.zeros(500, np.float32)},
        "gate": rng.normal(size=3).astype(np.float32),
    }
    params = jax.tree.map(jnp.asarray, params)
    opt_state = (jax.tree.map(lambda leaf: leaf * 2, params), jnp.int32(step))
    return TrainState(jnp.int32(step), params, opt_state, jax.tree.map(jnp.asarray, healthy(["a"])))


def same(a: TrainState, b: TrainState) -> bool:
    return jax.tree.all(jax.tree.map(np.array_equal, a, b))


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def turn_a_bit(path: Path, other: Path, rng: random.Random) -> None:
    data = bytearray(path.read_bytes())
    if data:
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    path.write_bytes(data)


def cut(path: Path, other: Path, rng: random.Random) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: rng.randrange(len(data) or 1)])


def delete(path: Path, other: Path, rng: random.Random) -> None:
    path.unlink()


def swap(path: Path, other: Path, rng: random.Random) -> None:
    ours, theirs = path.read_bytes(), other.read_bytes()
    path.write_bytes(theirs)
    other.write_bytes(ours)


def zero(path: Path, other: Path, rng: random.Random) -> None:
    """A hole, as a disk that lost power leaves it."""
    data = bytearray(path.read_bytes())
    start = rng.randrange(len(data) or 1)
    data[start : start + 512] = bytes(len(data[start : start + 512]))
    path.write_bytes(data)


def of_the_older_one(path: Path, other: Path, rng: random.Random) -> None:
    """The file of the same name of the checkpoint before."""
    folder = next(parent for parent in path.parents if parent.name == str(NEW))
    older = folder.with_name(str(OLD)) / path.relative_to(folder)
    if older.exists():
        path.write_bytes(older.read_bytes())


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> Path:
    workdir = tmp_path_factory.mktemp("saved")
    with Checkpoints(workdir, CONFIG) as checkpoints:
        for step in (OLD, NEW):
            checkpoints.save(state(step), Position(step, step), "{}", "f" * 64, {"a": 1.0})
    return workdir


def restored(saved: Path, workdir: Path, damage: Callable, seed: int) -> str:
    """Damages a file of the newer checkpoint of a copy; "harmless" or "detected", or it fails."""
    shutil.rmtree(workdir, ignore_errors=True)
    shutil.copytree(saved, workdir)
    rng = random.Random(seed)
    path = rng.choice(files(workdir / "checkpoints" / str(NEW)))
    name = path.relative_to(workdir)
    damage(path, rng.choice(files(workdir / "checkpoints")), rng)
    with Checkpoints(workdir, CONFIG) as checkpoints:
        try:
            found = checkpoints.restore_newest(state(0), "f" * 64)
        except CheckpointError as error:
            assert damage is swap and "all checkpoints" in str(error), name  # it may damage both
            return "detected"
    step = found.position.step
    assert same(found.state, state(step)), f"{name}: other values, and nobody noticed"
    assert step in (OLD, NEW) and found.position == Position(step, step)
    assert (workdir / "damaged" / str(NEW)).exists() == (step == OLD), name
    return "harmless" if step == NEW else "detected"


@pytest.mark.slow
def test_two_hundred_kinds_of_damage(saved, tmp_path):
    found = collections.Counter()
    kinds = (turn_a_bit, cut, delete, swap, zero, of_the_older_one)
    for seed in range(204):
        damage = kinds[seed % len(kinds)]
        found[damage.__name__, restored(saved, tmp_path / "copy", damage, seed)] += 1
    print(*sorted(found.items()), sep="\n")
    assert sum(count for (_, outcome), count in found.items() if outcome == "detected") >= 60
    assert sum(found.values()) == 204


def test_each_file_with_one_bit_turned(saved, tmp_path):
    for seed in range(8):
        restored(saved, tmp_path / "copy", turn_a_bit, seed)
