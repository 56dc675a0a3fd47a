"""Runs that are killed at any moment, many times, and go on as if nothing had happened."""

import contextlib
import json
import random
import time
from pathlib import Path

import jax
import numpy as np
import pytest

from flamingo_jax.training.checkpoints import CheckpointConfig, Checkpoints
from flamingo_jax.training.design import Design
from flamingo_jax.training.setup import set_up
from tests.parallel.processes import Processes
from tests.training.train_program import shorter

PROGRAM = "tests.training.torture_program"
KILLS, STEPS = 50, 300
TIME = 400  # seconds, for a machine that has other things to do

pytestmark = pytest.mark.slow


class Run:
    """A workdir, and the processes that work in it one after the other."""

    def __init__(self, gin_file: Path, workdir: Path):
        self.gin_file, self.workdir = gin_file, workdir
        self.batches = workdir.with_name(f"{workdir.name}-batches")

    def start(self, steps: int, count: int = 1, devices: int = 0, *axes: str) -> Processes:
        environment = {}
        if devices:
            environment["XLA_FLAGS"] = f"--xla_force_host_platform_device_count={devices}"
        return Processes(
            count, PROGRAM, [*map(str, (self.gin_file, self.workdir, steps, self.batches)), *axes], environment
        )

    def finish(self, *arguments) -> None:
        with self.start(*arguments) as processes:
            ended = processes.finish(TIME)
        assert all(status == 0 for status, _, _ in ended), "\n".join(said for _, _, said in ended)

    def lines(self) -> list[dict]:
        found = []
        with contextlib.suppress(FileNotFoundError):
            for line in (self.workdir / "metrics.jsonl").read_text().splitlines():
                with contextlib.suppress(json.JSONDecodeError):  # a killed process leaves half a line
                    found.append(json.loads(line))
        return found

    def losses(self) -> list[tuple[int, float, float]]:
        return [(line["step"], line["loss"], line["grad_norm"]) for line in self.lines() if "loss" in line]

    def wait_for(self, processes: Processes, there) -> None:
        deadline = time.monotonic() + TIME
        while not there():
            assert time.monotonic() < deadline
            for process in processes:
                assert process.poll() is None, process.stderr.read()
            time.sleep(0.002)

    def state(self, tiny_config, steps: int):
        setup = set_up(Design.make(shorter(tiny_config, steps)))
        with Checkpoints(self.workdir, CheckpointConfig()) as checkpoints:
            return checkpoints.restore(steps, setup.design.state, setup.fingerprint)

    def rows(self) -> dict[tuple[int, int], set[str]]:
        """(data step, row) -> the digests under which it was read."""
        found: dict[tuple[int, int], set[str]] = {}
        for line in self.batches.read_text().splitlines():
            with contextlib.suppress(ValueError):
                step, row, digest = line.split()
                if len(digest) == 64:
                    found.setdefault((int(step), int(row)), set()).add(digest)
        return found


@pytest.fixture(scope="module")
def undisturbed(tiny_gin, tmp_path_factory) -> Run:
    run = Run(tiny_gin, tmp_path_factory.mktemp("undisturbed") / "run")
    run.finish(STEPS)
    return run


def test_killed_at_fifty_moments_it_is_the_undisturbed_run_to_the_last_bit(undisturbed, tiny_config, tmp_path):
    rng, run = random.Random(0), Run(undisturbed.gin_file, tmp_path / "run")
    kinds = dict.fromkeys(("anywhere", "start", "steps", "save"), 0)
    startup = 10.0
    while sum(kinds.values()) < KILLS:
        kind, began = rng.choice(list(kinds)), time.monotonic()
        before = len(run.losses()) + rng.randrange(12)
        with run.start(STEPS) as processes:
            if kind == "anywhere":
                time.sleep(rng.uniform(0, startup * 1.1))
            elif kind == "start":
                time.sleep(rng.uniform(0, startup))
            else:
                run.wait_for(processes, lambda before=before: len(run.losses()) > before)
                startup = min(startup, time.monotonic() - began)
                if kind == "steps":
                    time.sleep(rng.uniform(0, 0.2))
                else:  # a checkpoint that is being written has a temporary name
                    run.wait_for(processes, lambda: any(run.workdir.glob("checkpoints/*tmp*")))
                    time.sleep(rng.uniform(0, 0.02))
            assert processes[0].poll() is None, processes[0].stderr.read()
            processes[0].kill()
            processes[0].wait()
        kinds[kind] += 1
    assert min(kinds.values()) >= 5
    last = max((step for step, _, _ in run.losses()), default=0)
    assert last < STEPS, "the run was over before it was killed often enough"
    run.finish(STEPS)

    expected = {step: rest for step, *rest in undisturbed.losses()}
    assert sorted(expected) == list(range(1, STEPS + 1))
    found = run.losses()
    assert {step for step, _, _ in found} == set(expected)
    assert all(rest == expected[step] for step, *rest in found)  # also of updates that were given up and made again
    ours, theirs = run.state(tiny_config, STEPS), undisturbed.state(tiny_config, STEPS)
    assert jax.tree.all(jax.tree.map(np.array_equal, ours.state, theirs.state))
    assert ours.position == theirs.position
    assert run.rows() == undisturbed.rows()


SHAPES = (
    (1, 0, "data=1"),
    (2, 0, "data=2"),
    (1, 8, "data=2", "fsdp=2", "tensor=2"),
    (4, 0, "data=2", "fsdp=2"),
    (1, 8, "data=4", "tensor=2"),
    (2, 0, "data=1", "tensor=2"),
    (1, 8, "data=1", "fsdp=4", "tensor=2"),
    (4, 0, "data=4"),
)
MOVED = 200  # updates


def test_killed_and_moved_to_other_processes_and_meshes_it_is_the_same_run(tiny_gin, tiny_config, tmp_path):
    alone, run = Run(tiny_gin, tmp_path / "alone"), Run(tiny_gin, tmp_path / "run")
    alone.finish(MOVED)
    for number, (count, devices, *axes) in enumerate(SHAPES):
        if number == len(SHAPES) - 1:
            run.finish(MOVED, count, devices, *axes)
            break
        with run.start(MOVED, count, devices, *axes) as processes:
            wanted = (number + 1) * MOVED // len(SHAPES)
            run.wait_for(processes, lambda wanted=wanted: any(step >= wanted for step, _, _ in run.losses()))
            processes[-1].kill()
            for process in processes:
                process.wait(timeout=60)
    ours, theirs = run.state(tiny_config, MOVED), alone.state(tiny_config, MOVED)
    for (path, one), other in zip(
        jax.tree_util.tree_leaves_with_path(ours.state.params), jax.tree.leaves(theirs.state.params), strict=True
    ):
        distance = np.linalg.norm(one - other) / np.linalg.norm(other)
        assert distance < 1e-4, jax.tree_util.keystr(path)
    assert run.rows() == alone.rows()
    assert ours.position == theirs.position
