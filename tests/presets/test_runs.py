"""Every run file of a pod or slice: its header's command plans the chips that its mesh is of."""

import re
import shlex
from pathlib import Path

import pytest

from flamingo_jax import config as config_lib
from flamingo_jax.parallel.topology import parse_topology
from flamingo_jax.training.design import Design
from flamingo_jax.training.run import RunConfig

RUNS = Path(__file__).parents[2] / "gin" / "runs"
PODS = sorted(path.name for path in RUNS.glob("flamingo_*_v*.gin"))
TRAINABLE = {"3b": 1.41e9, "9b": 1.81e9, "80b": 9.87e9}
"""Trainable parameters (paper, table 1; the 9B's as its parts add up), to 1%."""

IN_A_STEP = {"m3w": 3072, "align": 6144, "ltip": 6144, "vtp": 768}
"""Pages, pairs and clips of the 80B, however many of them share a row."""


def resolved(name: str) -> RunConfig:
    return config_lib.resolve(RunConfig, [str(RUNS / name)], [])


@pytest.mark.parametrize("name", PODS)
def test_the_run_is_designed_for_the_chips_of_its_header(name):
    text = (RUNS / name).read_text()
    (command,) = re.findall(r"python -m flamingo_jax\.plan (.*)", text)
    file, topology = (word.partition("=")[2] for word in shlex.split(command))
    assert file == f"gin/runs/{name}"
    chip = name.removesuffix(".gin").split("_")[2]
    assert topology.startswith(f"{chip}:")
    devices = parse_topology(topology).devices()
    design = Design.make(resolved(name), devices)  # refuses what does not divide
    assert design.mesh.size == len(devices)
    size = name.split("_")[1]
    assert design.count(frozen=False) == pytest.approx(TRAINABLE[size], rel=0.01)


@pytest.mark.parametrize("name", [name for name in PODS if "80b" in name])
def test_the_80b_sees_as_much_in_a_step_on_every_chip(name):
    datasets = dict(resolved(name).mixture.datasets)
    assert {each: data.batch_size * data.documents_per_row for each, data in datasets.items()} == IN_A_STEP
    tokens = {each: data.length // data.documents_per_row for each, data in datasets.items()}
    assert tokens == {"m3w": 256, "align": 32, "ltip": 64, "vtp": 32}


def test_four_processes_can_share_the_quickstart():
    assert all(data.batch_size % 4 == 0 for _, data in resolved("quickstart.gin").mixture.datasets)
