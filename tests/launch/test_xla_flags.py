"""The XLA flags of the chips: each has a reason, and the compilers take them."""

import importlib.util
import itertools
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "launch" / "xla_flags").glob("*.env"))
TOPOLOGIES = {"tpu_v4": "v4:2x2x1", "tpu_v5e": "v5e:2x2", "tpu_v5p": "v5p:2x2x1", "tpu_v6e": "v6e:2x2"}
# Compiles a matrix product that needs its input gathered, for a topology; no device is used.
COMPILE = """
import sys, jax, numpy as np, jax.numpy as jnp
from jax.experimental import topologies
from jax.sharding import Mesh, NamedSharding, PartitionSpec as P
devices = topologies.get_topology_desc(sys.argv[1], platform="tpu").devices
rows = NamedSharding(Mesh(np.array(devices), ("x",)), P("x"))
shape = jax.ShapeDtypeStruct((1024, 1024), jnp.bfloat16)
jax.jit(lambda a: a @ a, in_shardings=rows, out_shardings=rows).lower(shape).compile()
print("compiled")
"""


def with_flags(chip: str, *command: str, **environment: str) -> subprocess.CompletedProcess:
    kept = {name: value for name, value in os.environ.items() if name not in ("XLA_FLAGS", "LIBTPU_INIT_ARGS")}
    return subprocess.run(
        [ROOT / "launch" / "with_xla_flags.sh", chip, *command],
        # libtpu must not look for a TPU, nor for other users of one.
        env=kept | {"JAX_PLATFORMS": "cpu", "TPU_SKIP_MDS_QUERY": "1", "ALLOW_MULTIPLE_LIBTPU_LOAD": "1"} | environment,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_there_is_a_file_for_each_chip():
    assert {path.stem for path in FILES} == {*TOPOLOGIES, "gpu_h100"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_each_line_is_one_flag_with_a_reason(path):
    lines = path.read_text().splitlines()
    seen = set()
    for before, line in itertools.pairwise(lines):
        if not line or line.startswith("#"):
            continue
        name, _, value = line.partition("=")
        assert before.startswith("# ") or before.partition("=")[0] == name, f"{line}: no reason"
        assert name.isupper() and value and not set(value) & set(" \"'"), line
        if name in ("XLA_FLAGS", "LIBTPU_INIT_ARGS"):
            assert value.startswith("--xla_gpu_" if path.stem.startswith("gpu") else "--xla_"), line
            assert value.partition("=")[0] not in seen, f"{line}: twice"
            seen.add(value.partition("=")[0])


@pytest.mark.skipif(importlib.util.find_spec("libtpu") is None, reason="libtpu is not installed")
@pytest.mark.parametrize("chip", TOPOLOGIES)
def test_libtpu_compiles_with_them(chip):
    said = with_flags(chip, sys.executable, "-c", COMPILE, TOPOLOGIES[chip])
    assert said.stdout == "compiled\n", said.stderr[-2000:]


@pytest.mark.skipif(importlib.util.find_spec("libtpu") is None, reason="libtpu is not installed")
def test_libtpu_would_not_take_just_any():
    said = with_flags("tpu_v5p", sys.executable, "-c", COMPILE, "v5p:2x2x1", LIBTPU_INIT_ARGS="--xla_tpu_no_such=true")
    assert said.returncode and "xla_tpu_no_such" in said.stderr


def test_xla_knows_the_flags_of_gpus():
    start = "import jax; print(jax.devices()[0].platform)"
    said = with_flags("gpu_h100", sys.executable, "-c", start)
    assert said.stdout == "cpu\n", said.stderr[-2000:]
    said = with_flags("gpu_h100", sys.executable, "-c", start, XLA_FLAGS="--xla_gpu_no_such=true")
    assert said.returncode and "xla_gpu_no_such" in said.stderr


def test_what_the_caller_has_set_comes_last_and_wins():
    show = 'printf "%s\\n" "$XLA_FLAGS" "$XLA_PYTHON_CLIENT_MEM_FRACTION" "$1"'
    mine = {"XLA_FLAGS": "--xla_dump_to=/a b", "XLA_PYTHON_CLIENT_MEM_FRACTION": "0.5"}
    flags, fraction, argument = with_flags("gpu_h100", "bash", "-c", show, "-", "it's", **mine).stdout.splitlines()
    assert flags.startswith("--xla_gpu_enable_latency_hiding_scheduler=true --xla_gpu_")
    assert flags.endswith(" --xla_dump_to=/a b") and (fraction, argument) == ("0.5", "it's")


@pytest.mark.parametrize("arguments", [[], ["tpu_v5p"], ["tpu_v9", "true"], ["../xla_flags/tpu_v5p", "true"]])
def test_wrong_arguments_end_in_one_error(arguments):
    said = subprocess.run([ROOT / "launch" / "with_xla_flags.sh", *arguments], capture_output=True, text=True)
    assert said.returncode == 2 and "tpu_v5p" in said.stderr.splitlines()[-1]
