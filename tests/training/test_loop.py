"""Whole runs in small: what is frozen stays frozen, stopped and killed runs go on as if nothing had happened."""

import dataclasses
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest
from flax import traverse_util

from flamingo_jax import config as config_lib
from flamingo_jax.config import ConfigError
from flamingo_jax.training.checkpoint_errors import CheckpointError
from flamingo_jax.training.checkpoints import CheckpointConfig, Checkpoints
from flamingo_jax.training.design import Design
from flamingo_jax.training.freezing import FROZEN
from flamingo_jax.training.loop import train
from flamingo_jax.training.run import RunConfig
from flamingo_jax.training.setup import Setup, set_up

STEPS = 40  # of the tiny run


def losses(workdir: Path) -> dict[int, float]:
    lines = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    return {line["step"]: line["loss"] for line in lines if "loss" in line}


@pytest.fixture(scope="module")
def gin_file(tiny_gin, tmp_path_factory) -> Path:
    """The tiny run without one of its datasets: that much less to compile, again in each process."""
    path = tmp_path_factory.mktemp("loop") / "loop.gin"
    lines = tiny_gin.read_text().splitlines()
    path.write_text("\n".join(line for line in lines if not line.startswith(("pairs.PairsConfig", '    ("pairs"'))))
    return path


@pytest.fixture(scope="module")
def run_config(gin_file) -> RunConfig:
    return config_lib.resolve(RunConfig, [str(gin_file)], [])


@pytest.fixture(scope="module")
def before(run_config) -> Setup:
    """What a run begins with."""
    return set_up(Design.make(run_config))


@pytest.fixture(scope="module")
def uninterrupted(run_config, tmp_path_factory) -> tuple[Path, Setup]:
    """The workdir of a run, and what it worked with."""
    workdir, setups = tmp_path_factory.mktemp("finished"), []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("flamingo_jax.training.loop.set_up", lambda *a, **k: setups.append(set_up(*a, **k)) or setups[0])
        seldom = dataclasses.replace(run_config, checkpoints=CheckpointConfig(every=1000))
        assert train(seldom, str(workdir)) == STEPS
    return workdir, setups[0]


@pytest.fixture(scope="module")
def finished(uninterrupted) -> Path:
    return uninterrupted[0]


def test_a_run_leaves_what_it_should(run_config, finished):
    assert sorted(losses(finished)) == list(range(1, STEPS + 1))
    assert list((finished / "tensorboard").iterdir())
    assert json.loads((finished / "config.json").read_text())["steps"] == STEPS
    lines = [json.loads(line) for line in (finished / "metrics.jsonl").read_text().splitlines()]
    line = next(line for line in lines if "loss" in line)
    assert [line["event"] for line in lines if "event" in line] == ["start", "compiled", "saved", "end"]
    assert not (finished / "lease.json").exists()
    names = {"loss/m3w", "loss/clips", "grad_norm", "grad_norm/resampler", "update_norm/cross_attention"}
    names |= {"learning_rate", "gate/attention/2", "skipped/m3w", "tokens_seen", "images_seen/clips", "goodput"}
    assert names <= set(line)
    with Checkpoints(finished, run_config.checkpoints) as checkpoints:
        assert checkpoints.latest == STEPS
        facts = checkpoints.facts(STEPS)
        assert facts["step"] == facts["data_step"] == STEPS
        assert facts["seen"] == {name.replace("_seen", ""): n for name, n in seen(finished).items() if "/" in name}


def test_frozen_leaves_are_untouched_and_have_no_optimizer_state(run_config, before, finished):
    with Checkpoints(finished, run_config.checkpoints) as checkpoints:
        state = checkpoints.restore(STEPS, before.design.state, before.fingerprint).state
    trainable = traverse_util.flatten_dict(state.params, sep="/")
    assert set(trainable) == {path for path, label in before.design.labels.items() if label != FROZEN}
    for path, leaf in traverse_util.flatten_dict(before.params, sep="/").items():
        assert np.abs(np.asarray(trainable[path]) - np.asarray(leaf)).max() > 0, f"{path} did not train"
    moments = sorted(leaf.shape for leaf in jax.tree.leaves(state.opt_state) if leaf.dtype != np.int32)
    assert moments == sorted([leaf.shape for leaf in trainable.values()] * 2)


def test_training_leaves_the_frozen_arrays_bit_identical(before, uninterrupted):
    jax.tree.map(
        lambda old, new: np.testing.assert_array_equal(np.asarray(old), np.asarray(new)),
        before.frozen,
        uninterrupted[1].frozen,
    )


def seen(workdir: Path) -> dict[str, int]:
    """What the last line says that the run has seen."""
    lines = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    last = [line for line in lines if "loss" in line][-1]
    return {name: int(value) for name, value in last.items() if "_seen" in name}


def command(gin_file: Path, workdir: Path, *bindings: str) -> list[str]:
    flags = [f"--gin_file={gin_file}", f"--workdir={workdir}", *(f"--gin={binding}" for binding in bindings)]
    return [sys.executable, "-m", "flamingo_jax.train", *flags]


def wait_for_step(process: subprocess.Popen, workdir: Path, step: int) -> None:
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline:
        path = workdir / "metrics.jsonl"
        if path.exists() and f'"step": {step},' in path.read_text():
            return
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.02)
    raise AssertionError(f"no step {step} in time")


def resumes(workdir: Path) -> list[int]:
    """The steps that the run went on from."""
    lines = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    return [line["step"] for line in lines if line.get("event") == "resume"]


@pytest.mark.slow
def test_a_run_that_is_killed_and_stopped_has_the_losses_of_the_uninterrupted_one(
    gin_file, run_config, finished, tmp_path
):
    relative = command(gin_file, Path("run"))  # a relative workdir, as people type it
    workdir = tmp_path / "run"
    process = subprocess.Popen(relative, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    wait_for_step(process, workdir, 9)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    reached = max(losses(workdir))
    assert reached < STEPS

    process = subprocess.Popen(relative, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    wait_for_step(process, workdir, reached + 2)
    process.send_signal(signal.SIGINT)  # Ctrl-C saves the step that it stops at
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "run the same command again" in said
    stopped_at = max(losses(workdir))
    assert reached < stopped_at < STEPS
    with Checkpoints(workdir, CheckpointConfig()) as checkpoints:
        assert checkpoints.latest == stopped_at
    assert losses(workdir).items() <= losses(finished).items()

    assert train(run_config, str(workdir)) == STEPS
    assert losses(workdir) == losses(finished)
    assert seen(workdir) == seen(finished)
    killed, stopped = resumes(workdir)
    # There is a checkpoint every other step, written in the background: that of step 6 is complete before 8's begins.
    assert 6 <= killed <= reached and stopped == stopped_at
    text = (workdir / "metrics.jsonl").read_text()
    assert train(run_config, str(workdir)) == STEPS  # now there is nothing to do
    assert (workdir / "metrics.jsonl").read_text() == text


def test_other_frozen_weights_are_refused(run_config, before, finished):
    with (
        Checkpoints(finished, run_config.checkpoints) as checkpoints,
        pytest.raises(CheckpointError, match="other frozen weights"),
    ):
        checkpoints.restore(STEPS, before.design.state, "0" * 64)


def test_another_model_is_refused(run_config, finished):
    model = dataclasses.replace(run_config.model, cross_attention_every=3)
    with pytest.raises(ConfigError, match=r"cross_attention_every +2 -> 3"):
        train(dataclasses.replace(run_config, model=model, steps=STEPS + 1), str(finished))


@pytest.mark.parametrize("wrong", ["tokenizer", "dataset"])
def test_a_wrong_path_is_told_before_the_weights_are_loaded(tiny_config, tmp_path, monkeypatch, wrong):
    monkeypatch.setattr("flamingo_jax.training.loop.set_up", lambda *a, **k: pytest.fail("the weights were loaded"))
    absent = str(tmp_path / "absent")
    if wrong == "tokenizer":
        pretrained = dataclasses.replace(tiny_config.pretrained, tokenizer=absent)
        config = dataclasses.replace(tiny_config, pretrained=pretrained)
    else:
        (name, dataset), *others = tiny_config.mixture.datasets
        datasets = ((name, dataclasses.replace(dataset, path=absent)), *others)
        config = dataclasses.replace(tiny_config, mixture=dataclasses.replace(tiny_config.mixture, datasets=datasets))
    with pytest.raises(OSError, match="absent"):
        train(config, str(tmp_path / "workdir"))
    assert not list(tmp_path.iterdir())
