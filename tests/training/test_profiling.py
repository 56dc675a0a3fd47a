"""Traces of a few updates, with JAX's own profiler."""

import logging
import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

from flamingo_jax.config import ConfigError
from flamingo_jax.training import profiling
from flamingo_jax.training.profiling import Profile, parse_steps

# In a process of its own, that has no libtpu: here it is loaded, to compile for TPUs.
PROGRAM = """
import contextlib, logging, sys
import jax, jax.numpy as jnp
from etils import epath
from etils.epath import backend
from flamingo_jax.training.profiling import Profile
from tests.training.stores import ObjectStore

logging.basicConfig(level="INFO", format="%(message)s")
step = jax.jit(lambda x: x @ x)

def run(workdir, steps, first, last, stop=None):
    with contextlib.suppress(KeyboardInterrupt), Profile(workdir, steps, first - 1, last) as profile:
        for number in range(first, last + 1):
            profile.before(number)
            if number == stop:
                raise KeyboardInterrupt
            profile.after(number, step(jnp.ones((8, 8))))

root = epath.Path(sys.argv[1])
run(root / "whole", (2, 3), 1, 4)
run(root / "stopped", (1, 5), 1, 9, stop=2)
store = ObjectStore()
backend.fsspec_backend.fs = lambda path: store
run(epath.Path("gs://bucket/run"), (1, 1), 1, 1)
print(*(path for path in store.store if path.endswith(".xplane.pb")))
"""


def traces(workdir: Path) -> list[Path]:
    return [path for path in (workdir / "profile").rglob("*") if path.name.endswith(".xplane.pb")]


def test_a_trace_is_written_also_of_a_run_that_stops_and_to_an_object_store(tmp_path):
    environment = os.environ | {"JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path)], capture_output=True, text=True, timeout=120, env=environment
    )
    assert done.returncode == 0, done.stderr
    for name in ("whole", "stopped"):
        (trace,) = traces(tmp_path / name)
        assert trace.stat().st_size > 0
    assert "the run stops before update 5 is traced" in done.stderr
    (stored,) = done.stdout.split()
    assert "bucket/run/profile/" in stored


@pytest.fixture
def calls(monkeypatch) -> list:
    """What the profiler was asked to do, in its place."""
    found = []
    monkeypatch.setattr(profiling, "_has_idle_libtpu", lambda: False)
    monkeypatch.setattr(jax.profiler, "start_trace", lambda path: found.append("start"))
    monkeypatch.setattr(jax.profiler, "stop_trace", lambda: found.append("stop"))
    return found


@pytest.mark.parametrize("text, steps", [("", None), ("3:3", (3, 3)), ("10:12", (10, 12))])
def test_steps(text, steps):
    assert parse_steps(text) == steps


@pytest.mark.parametrize("text", ["5", "5:", ":5", "0:3", "4:3", "a:b", "-1:2", "1:2:3", "1.0:2", " 1:2"])
def test_what_is_no_range_of_steps(text):
    with pytest.raises(ConfigError, match=r"--profile_steps .* such as 101:103"):
        parse_steps(text)


def test_exactly_the_steps_asked_for_are_traced_and_once(tmp_path, calls):
    with Profile(tmp_path, (2, 3), 0, 4) as profile:
        for number in (1, 2, 3, 2, 3, 4):  # the run goes back once
            profile.before(number)
            calls.append(number)
            profile.after(number, jnp.ones(()))
    assert calls == [1, "start", 2, 3, "stop", 2, 3, 4]


@pytest.mark.parametrize(
    "steps, says, traced",
    [
        ((1, 3), "traces nothing: this process makes updates 11 to 20", []),
        ((21, 23), "traces nothing", []),
        ((8, 12), "only updates 11 to 12", ["start", "stop"]),
        ((19, 23), "only updates 19 to 20", ["start", "stop"]),
    ],
)
def test_steps_that_this_process_does_not_make_are_told_of(tmp_path, caplog, calls, steps, says, traced):
    with caplog.at_level("WARNING", "flamingo_jax"), Profile(tmp_path, steps, 10, 20) as profile:
        for number in range(11, 21):
            profile.before(number)
            profile.after(number, jnp.ones(()))
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert says in caplog.text and calls == traced


def test_no_steps_no_trace_and_no_word(tmp_path, caplog, calls):
    with Profile(tmp_path, None, 0, 4) as profile:
        profile.before(1)
        profile.after(1, jnp.ones(()))
    assert not list(tmp_path.iterdir()) and not caplog.text and not calls


@pytest.mark.parametrize(
    "backend, platforms, installed, refused",
    [
        ("cpu", None, True, True),
        ("gpu", "", True, True),
        ("cpu", "tpu,cpu", True, True),
        ("cpu", "cpu", True, False),
        ("tpu", None, True, False),
        ("gpu", None, False, False),
    ],
)
def test_a_libtpu_without_its_tpu_is_refused_before_it_ends_the_run(
    tmp_path, monkeypatch, backend, platforms, installed, refused
):
    monkeypatch.setattr(profiling.jax, "default_backend", lambda: backend)
    monkeypatch.setattr(profiling.importlib.util, "find_spec", lambda name: object() if installed else None)
    before = jax.config.jax_platforms
    jax.config.update("jax_platforms", platforms)
    try:
        Profile(tmp_path, None, 0, 9)
        if refused:
            with pytest.raises(ConfigError, match="JAX_PLATFORMS=" + ("cuda,cpu" if backend == "gpu" else "cpu")):
                Profile(tmp_path, (1, 2), 0, 9)
        else:
            Profile(tmp_path, (1, 2), 0, 9)
    finally:
        jax.config.update("jax_platforms", before)
