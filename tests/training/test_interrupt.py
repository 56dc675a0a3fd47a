"""SIGTERM at the worst moments: the process ends soon, and what it leaves can be gone on from."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from flamingo_jax.data.mixture import Mixture
from flamingo_jax.training import loop
from flamingo_jax.training.checkpoints import CheckpointConfig, Checkpoints
from flamingo_jax.training.interrupt import Interrupt, Interrupted
from flamingo_jax.training.programs import compile_steps
from tests.training.test_torture import Run
from tests.training.train_program import shorter

GRACE = 30  # seconds that a pre-empted machine has
STEPS = 60


def latest(workdir: Path) -> int | None:
    with Checkpoints(workdir, CheckpointConfig()) as checkpoints:
        return checkpoints.latest


def ended(run: Run, processes: list[subprocess.Popen]) -> str:
    """Asks to stop; what it says."""
    processes[0].send_signal(signal.SIGTERM)
    _, said = processes[0].communicate(timeout=GRACE)
    assert processes[0].returncode == 130, said
    assert not (run.workdir / "lease.json").exists()
    return said


@pytest.mark.slow
def test_during_steps_and_saves(tiny_gin, tmp_path):
    run = Run(tiny_gin, tmp_path / "run")
    with run.start(100_000) as processes:
        run.wait_for(processes, lambda: len(run.losses()) >= 7)
        said = ended(run, processes)
    stopped = max(step for step, *_ in run.losses())
    assert "run the same command again" in said and latest(run.workdir) == stopped
    with run.start(100_000) as processes:
        run.wait_for(processes, lambda: len(run.losses()) > stopped)
        run.wait_for(processes, lambda: any(run.workdir.glob("checkpoints/*tmp*")))
        ended(run, processes)
    assert latest(run.workdir) == max(step for step, *_ in run.losses()) > stopped
    assert not any(run.workdir.glob("checkpoints/*tmp*"))


@pytest.mark.slow
def test_during_compilation(tiny_gin, tmp_path, monkeypatch):
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "cache"))  # so that it takes its time
    monkeypatch.setenv("XLA_FLAGS", "")
    run = Run(tiny_gin, tmp_path / "run")
    with run.start(3) as processes:
        run.wait_for(processes, lambda: any(line.get("event") == "start" for line in run.lines()))
        time.sleep(1.5)
        said = ended(run, processes)
    assert "stopped while compiling: the checkpoint of step 0 stands" in said
    assert not any(line.get("event") == "compiled" for line in run.lines())
    assert latest(run.workdir) == 0
    run.finish(3)
    assert [step for step, *_ in run.losses()] == [1, 2, 3]


class StuckMixture(Mixture):
    """Its storage goes away at step 3."""

    def sub_batch(self, name, step, rows=None):
        """As of any mixture, or never."""
        if step == 3:
            time.sleep(300)
        return super().sub_batch(name, step, rows)


@pytest.mark.slow
def test_while_the_data_stay_away(tiny_config, tmp_path, monkeypatch):
    config = shorter(tiny_config, 6)
    config = dataclasses.replace(config, mixture=dataclasses.replace(config.mixture, workers=1))
    asked = []

    def losses():
        lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
        return {line["step"]: line["loss"] for line in map(json.loads, lines) if "loss" in line}

    def ask():
        while not (tmp_path / "run" / "metrics.jsonl").exists() or len(losses()) < 2:
            time.sleep(0.1)
        time.sleep(1)
        asked.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "Mixture", StuckMixture)
        asker = threading.Thread(target=ask)
        asker.start()
        assert loop.train(config, str(tmp_path / "run")) == 3
        asker.join()
    assert time.monotonic() - asked[0] < GRACE
    assert latest(tmp_path / "run") == 3
    assert loop.train(config, str(tmp_path / "run")) == 6
    assert sorted(losses()) == [1, 2, 3, 4, 5, 6]


class Design:
    """One whose compiler takes as long as it is told."""

    batches = {("a",): {"a": 1}, ("b",): {"b": 2}}  # noqa: RUF012

    def __init__(self, compiler):
        self._compiler = compiler

    def lower(self, batch):
        self.batch = batch
        return self

    def compile(self):
        return self._compiler(self.batch)


def test_each_kind_of_batch_has_its_program():
    with Interrupt() as interrupt:
        programs = compile_steps(Design(lambda batch: f"program of {batch}"), interrupt)
    assert programs == {("a",): "program of {'a': 1}", ("b",): "program of {'b': 2}"}


def test_what_the_compiler_raises_is_raised():
    def fail(batch):
        raise ValueError("out of memory")

    with Interrupt() as interrupt, pytest.raises(ValueError, match="out of memory"):
        compile_steps(Design(fail), interrupt)


def test_a_signal_does_not_wait_for_the_compiler(monkeypatch):
    registered, go_on = [], threading.Event()
    monkeypatch.setattr("flamingo_jax.training.programs.atexit.register", registered.append)
    with Interrupt() as interrupt:
        threading.Timer(0.3, lambda: signal.raise_signal(signal.SIGTERM)).start()
        began = time.monotonic()
        with pytest.raises(Interrupted):
            compile_steps(Design(lambda batch: go_on.wait(20)), interrupt)
        assert time.monotonic() - began < 10
    assert len(registered) == 1  # the process is to end without waiting either
    go_on.set()


def test_signals_only_ask_unless_nothing_can_be_lost():
    with Interrupt() as interrupt:
        signal.raise_signal(signal.SIGUSR1)
        assert (interrupt.save, interrupt.requested) == (True, False)
        with interrupt.at_once():
            pass
        signal.raise_signal(signal.SIGTERM)
        assert interrupt.requested
        with pytest.raises(Interrupted), interrupt.at_once():
            pytest.fail("it was asked to stop before")
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)  # the second one
    assert issubclass(Interrupted, KeyboardInterrupt)


PROGRAM = """
import sys, time
from flamingo_jax.training.interrupt import Interrupt
with Interrupt() as interrupt, interrupt.at_once():
    print("there", flush=True)
    time.sleep(60)
"""


def test_a_process_that_can_lose_nothing_ends_at_once():
    process = subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=GRACE) != 0
    process.communicate()
