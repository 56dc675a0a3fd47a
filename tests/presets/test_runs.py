"""Every run file of a pod or slice: its header's command plans the chips that its mesh is of."""

import re
import shlex
from pathlib import Path

import pytest

from flamingo_jax import config as config_lib
from flamingo_jax.models.flamingo import Flamingo
from flamingo_jax.parallel.topology import parse_topology
from flamingo_jax.training.design import Design
from flamingo_jax.training.freezing import FROZEN, label
from flamingo_jax.training.initial import matching
from flamingo_jax.training.optimizer import make_optimizer
from flamingo_jax.training.run import RunConfig
from flamingo_jax.training.state import abstract_params, flat_shapes

ROOT = Path(__file__).parents[2]
RUNS = ROOT / "gin" / "runs"
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


def trainable(run: RunConfig) -> dict[str, str]:
    """Path -> label; the optimizer has policies for all of them."""
    labels = label(flat_shapes(abstract_params(Flamingo(run.model))), run.freezing)
    make_optimizer(run.optimizer, labels, run.steps)
    return {path: name for path, name in labels.items() if name != FROZEN}


def is_the_papers_fine_tuning(run: RunConfig) -> None:
    """Appendix B.2.2."""
    ((_, dataset),) = run.mixture.datasets
    assert (dataset.image_size, dataset.batch_size in (8, 16)) == (480, True)
    assert 3e-8 <= run.optimizer.learning_rate <= 1e-5
    assert run.optimizer.decay_factor == 0.1 and run.optimizer.decay_steps > 0


def test_fine_tuning_takes_all_that_the_quickstart_trains_and_trains_the_encoder_too():
    run, first = resolved("finetune_480.gin"), resolved("quickstart.gin")
    is_the_papers_fine_tuning(run)
    assert run.initial.path == "runs/quickstart"
    assert dict(run.mixture.datasets)["pairs"].path == dict(first.mixture.datasets)["pairs"].path
    found, before = trainable(run), trainable(first)
    assert set(matching(run.initial.patterns, found)) == before.keys()
    assert {name for path, name in found.items() if path not in before} == {"vision"}
    # Its weights, and not the statistics of its batch norms.
    of_encoder = {path.rpartition("/")[2] for path, name in found.items() if name == "vision"}
    assert of_encoder == {"kernel", "scale", "bias"}


def test_the_fine_tuning_of_the_documentation_builds(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    (example,) = re.findall(r"```gin\n(.*?)```", (ROOT / "docs" / "finetuning.md").read_text(), re.DOTALL)
    (tmp_path / "run.gin").write_text(example)
    run = config_lib.resolve(RunConfig, [str(tmp_path / "run.gin")], [])
    is_the_papers_fine_tuning(run)
    labels = trainable(run)
    taken = matching(run.initial.patterns, labels)
    assert {labels[path] for path in taken} == {"resampler", "cross_attention", "new_tokens"}
    assert len(labels) > len(taken)
