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

from flamingo_jax.data.mixture import Mixture
from flamingo_jax.data.tokenizer import load_tokenizer
from flamingo_jax.training.checkpoints import CheckpointConfig, CheckpointError, Checkpoints
from flamingo_jax.training.design import Design
from flamingo_jax.training.freezing import FROZEN
from flamingo_jax.training.host_batches import HostBatches
from flamingo_jax.training.loop import train
from flamingo_jax.training.setup import set_up

STEPS = 40  # of the tiny run


def losses(workdir: Path) -> dict[int, float]:
    lines = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    return {line["step"]: line["loss"] for line in lines if "loss" in line}


@pytest.fixture(scope="module")
def finished(tiny_config, tmp_path_factory) -> Path:
    """The workdir of an uninterrupted run."""
    workdir = tmp_path_factory.mktemp("finished")
    assert train(tiny_config, str(workdir)) == tiny_config.steps
    return workdir


def test_a_run_leaves_what_it_should(tiny_config, finished):
    assert sorted(losses(finished)) == list(range(1, STEPS + 1))
    assert list((finished / "tensorboard").iterdir())
    assert json.loads((finished / "config.json").read_text())["steps"] == STEPS
    line = json.loads((finished / "metrics.jsonl").read_text().splitlines()[0])
    names = {"loss/m3w", "loss/pairs", "loss/clips", "grad_norm", "learning_rate", "gate/attention/2", "skipped/m3w"}
    assert names <= set(line)
    with Checkpoints(finished, tiny_config.checkpoints) as checkpoints:
        assert checkpoints.latest == STEPS
        assert set(checkpoints.facts(STEPS)) == {"step", "data_step", "frozen_fingerprint", "config"}


def test_frozen_leaves_are_untouched_and_have_no_optimizer_state(tiny_config, finished):
    before = set_up(Design.make(tiny_config))
    with Checkpoints(finished, tiny_config.checkpoints) as checkpoints:
        state = checkpoints.restore(STEPS, before.state, before.fingerprint, tiny_config.model)
    trainable = traverse_util.flatten_dict(state.params, sep="/")
    assert set(trainable) == {path for path, label in before.design.labels.items() if label != FROZEN}
    for path, leaf in traverse_util.flatten_dict(before.state.params, sep="/").items():
        assert np.abs(np.asarray(trainable[path]) - np.asarray(leaf)).max() > 0, f"{path} did not train"
    moments = sorted(leaf.shape for leaf in jax.tree.leaves(state.opt_state) if leaf.dtype != np.int32)
    assert moments == sorted([leaf.shape for leaf in trainable.values()] * 2)


def test_training_leaves_the_frozen_arrays_bit_identical(tiny_config):
    setup = set_up(Design.make(tiny_config))
    copies = jax.tree.map(np.array, setup.frozen)
    batch = Mixture(tiny_config.mixture, load_tokenizer(tiny_config.pretrained.tokenizer)).batch(0)
    batch, state = HostBatches(setup.design).place(batch), setup.state
    with setup.design.scope():
        for _ in range(2):
            state, _ = setup.design.step(state, setup.frozen, batch)
    assert int(state.step) == 2
    jax.tree.map(np.testing.assert_array_equal, copies, jax.tree.map(np.asarray, setup.frozen))


def test_a_stopped_run_goes_on_with_the_same_losses(tiny_config, finished, tmp_path):
    shorter = dataclasses.replace(tiny_config, steps=3)
    train(shorter, str(tmp_path))
    assert train(tiny_config, str(tmp_path)) == STEPS
    assert losses(tmp_path) == losses(finished)
    text = (tmp_path / "metrics.jsonl").read_text()
    assert json.loads(text.splitlines()[3]) == {"event": "resume", "step": 3}
    assert train(tiny_config, str(tmp_path)) == STEPS  # a third time there is nothing to do
    assert (tmp_path / "metrics.jsonl").read_text() == text


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


def test_a_killed_process_resumes_with_the_losses_of_the_uninterrupted_run(tiny_gin, finished, tmp_path):
    process = subprocess.Popen(command(tiny_gin, tmp_path), stderr=subprocess.PIPE, text=True)
    wait_for_step(process, tmp_path, 9)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    assert max(losses(tmp_path)) < STEPS
    subprocess.run(command(tiny_gin, tmp_path), check=True, capture_output=True)
    assert losses(tmp_path) == losses(finished)
    events = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines() if "resume" in line]
    assert len(events) == 1
    # There is a checkpoint every other step, written in the background: that of step 6 is complete before 8's begins.
    assert events[0]["step"] >= 6


def test_ctrl_c_saves_the_step_that_it_stopped_at(tiny_gin, finished, tmp_path):
    relative = command(tiny_gin, Path("run"))  # a relative workdir, as people type it
    process = subprocess.Popen(relative, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    tmp_path = tmp_path / "run"
    wait_for_step(process, tmp_path, 5)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "run the same command again" in said
    stopped_at = max(losses(tmp_path))
    assert 5 <= stopped_at < STEPS
    with Checkpoints(tmp_path, CheckpointConfig()) as checkpoints:
        assert checkpoints.latest == stopped_at
    assert losses(tmp_path).items() <= losses(finished).items()


def test_other_frozen_weights_are_refused(tiny_config, finished):
    setup = set_up(Design.make(tiny_config))
    with (
        Checkpoints(finished, tiny_config.checkpoints) as checkpoints,
        pytest.raises(CheckpointError, match="other frozen weights"),
    ):
        checkpoints.restore(STEPS, setup.state, "0" * 64)


def test_another_model_is_refused(tiny_config, finished):
    model = dataclasses.replace(tiny_config.model, cross_attention_every=3)
    with pytest.raises(CheckpointError, match=r"another model.*cross_attention_every"):
        train(dataclasses.replace(tiny_config, model=model, steps=STEPS + 1), str(finished))


@pytest.mark.parametrize("wrong", ["tokenizer", "dataset"])
def test_a_wrong_path_is_told_before_the_weights_are_loaded(tiny_config, tmp_path, monkeypatch, wrong):
    monkeypatch.setattr("flamingo_jax.training.loop.set_up", lambda config: pytest.fail("the weights were loaded"))
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
