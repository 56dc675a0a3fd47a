"""A plan and its advice: the tiny run's design on real topologies, with the compiler's answers given."""

import dataclasses
import json

import pytest

from flamingo_jax import config as config_lib
from flamingo_jax.config import ConfigError
from flamingo_jax.parallel.mesh import MeshConfig
from flamingo_jax.parallel.topology import parse_topology
from flamingo_jax.planning import plan as plan_lib
from flamingo_jax.planning.advice import advise
from flamingo_jax.planning.compiling import Compiled
from flamingo_jax.planning.estimate import Estimate
from flamingo_jax.planning.memory import Memory, gradient_bytes, resident
from flamingo_jax.planning.report import render
from flamingo_jax.planning.summary import to_dict
from flamingo_jax.training.design import Design
from flamingo_jax.training.run import RunConfig
from tests import tiny_run
from tests.planning import tpu

pytestmark = tpu.needs_libtpu
GIB = 2**30
ROWS = [
    "interleaved.InterleavedConfig.batch_size=16",
    "pairs.PairsConfig.batch_size=8",
    "pairs.VideoConfig.batch_size=8",
]
ESTIMATE = Estimate(
    compute_seconds=2.0,
    ici_seconds=1.0,
    dcn_seconds=0.0,
    copy_seconds=0.5,
    host_seconds=0.0,
    hardware_flops=1e12,
    collectives=(),
    rooflined=(),
    unknown_loops=(),
)


class Stats:
    """What a compiled program says of its memory."""

    argument_size_in_bytes = 4 * 2**20
    output_size_in_bytes = 2 * 2**20
    alias_size_in_bytes = 2**20
    temp_size_in_bytes = GIB
    generated_code_size_in_bytes = 2**20


@pytest.fixture(scope="module")
def resolve(tmp_path_factory):
    """Of the tiny run, whose weights and datasets are not there."""
    path = tmp_path_factory.mktemp("gin") / "tiny.gin"
    path.write_text(tiny_run.GIN.format(root="/nowhere"))
    return lambda *bindings: config_lib.resolve(RunConfig, [str(path)], [*ROWS, *bindings])


@pytest.fixture(scope="module")
def design(resolve) -> Design:
    return Design.make(resolve(), parse_topology("v5e:2x2").devices())


@pytest.fixture
def answers(monkeypatch):
    """Makes the compiler's answer: the bytes that a step needs too many, or None."""

    def give(*needed):
        compiled = [Compiled("", None, bytes, 1.5) if bytes else Compiled("text", Stats, None, 1.5) for bytes in needed]
        monkeypatch.setattr(plan_lib, "compile_step", lambda design, batch: compiled.pop(0))
        monkeypatch.setattr(plan_lib, "estimate", lambda text, topology, mesh: ESTIMATE)

    return give


def small(topology, capacity: int):
    return dataclasses.replace(topology, chip=dataclasses.replace(topology.chip, hbm_bytes=capacity))


def test_a_plan_and_its_figures(resolve, answers):
    answers(None)
    topology = parse_topology("v5e:2x2")
    plan = plan_lib.make_plan(resolve("run.RunConfig.steps=86400"), topology)
    found = json.loads(json.dumps(to_dict(plan)))
    assert found["fits"] and found["advice"] == []
    assert found["hbm_bytes_per_chip"] == sum(found["memory"].values()) == plan.memory.peak
    assert found["memory"]["temporaries"] == GIB and found["memory"]["outputs"] == 2**20
    assert found["hbm_capacity"] == topology.chip.hbm_bytes
    assert found["tokens_per_step"] == 16 * 48 + 8 * 40 + 8 * 40
    assert (found["estimated_step_seconds"], found["estimated_step_seconds_no_overlap"]) == (2.0, 3.5)
    assert found["estimated_mfu"] == pytest.approx(found["model_flops_per_step"] / (4 * 197e12 * 2))
    assert found["estimated_mfu_no_overlap"] == pytest.approx(found["estimated_mfu"] * 2 / 3.5)
    assert found["tokens_per_second"] == found["tokens_per_step"] / 2
    assert (found["days"], found["chip_hours"]) == (2.0, 4 * 48.0)
    assert found["hardware_flops_per_step"] == 4e12
    assert found["compile_seconds"] == 1.5
    assert sum(found["model_flops"]["modules"].values()) == found["model_flops_per_step"]
    params = found["params"]
    assert params["total"] == sum(sum(count.values()) for count in params["modules"].values())
    text = render(plan)
    assert "it fits" in text and max(map(len, text.splitlines())) <= 100


def test_a_smaller_chip_is_too_small(resolve, answers):
    answers(None)
    topology = parse_topology("v5e:2x2")
    plan = plan_lib.make_plan(resolve(), small(topology, GIB))
    assert not plan.fits and plan.estimated
    assert "IT DOES NOT FIT" in render(plan) and plan.advice
    # Nothing would be in reserve, and then enough.
    need = plan.memory.peak
    assert not dataclasses.replace(plan, topology=small(topology, need)).fits
    assert dataclasses.replace(plan, topology=small(topology, int(need * 1.05))).fits


def test_a_program_that_the_compiler_refuses_is_a_plan_too(resolve, answers):
    answers(40 * GIB)
    plan = plan_lib.make_plan(resolve(), parse_topology("v5e:2x2"))
    found = json.loads(json.dumps(to_dict(plan)))
    assert found["fits"] is False and found["hbm_bytes_per_chip"] == 40 * GIB
    assert found["estimated_step_seconds"] is None and found["collective_bytes"] is None
    assert found["model_flops_per_step"] > 0
    assert "the largest part is temporaries" in found["advice"][0]
    assert any("RunConfig.microbatches = {'m3w': 4}" in line for line in found["advice"])
    text = render(plan)
    assert "IT DOES NOT FIT" in text and max(map(len, text.splitlines())) <= 100


def test_kinds_of_steps_are_weighted_by_their_turns(resolve, answers):
    answers(None, None, None)
    bindings = ['mixture.MixtureConfig.strategy="round_robin"', 'mixture.MixtureConfig.turns={"m3w": 2}']
    plan = plan_lib.make_plan(resolve(*bindings), parse_topology("v5e:2x2"))
    assert {kind.datasets: kind.share for kind in plan.kinds} == {("m3w",): 0.5, ("pairs",): 0.25, ("clips",): 0.25}
    assert plan.tokens == 0.5 * 16 * 48 + 0.25 * 8 * 40 + 0.25 * 8 * 40
    assert plan.compile_seconds == 4.5
    assert max(map(len, render(plan).splitlines())) <= 100


def test_what_the_step_takes_is_counted_by_shards(design):
    (batch,) = design.batches.values()
    memory = resident(design, batch)
    trainable = design.count(frozen=False)
    assert memory.trainable == gradient_bytes(design) == 4 * trainable  # replicated, float32
    assert memory.frozen == 4 * design.count(frozen=True)
    assert 2 * memory.trainable <= memory.optimizer < 2 * memory.trainable + 64
    whole = sum(leaf.size * leaf.dtype.itemsize for part in batch.values() for leaf in part.values())
    assert memory.batch == whole / 4  # rows over four chips


@pytest.mark.parametrize(
    ("memory", "first", "named"),
    [
        (Memory(frozen=30 * GIB, trainable=GIB, optimizer=GIB, batch=0), "frozen", "PretrainedConfig.frozen_dtype"),
        (Memory(frozen=GIB, trainable=0, optimizer=20 * GIB, batch=0), "optimizer", "MeshConfig.moment_rules"),
        (
            Memory(frozen=0, trainable=0, optimizer=0, batch=0, temporaries=30 * GIB),
            "temporaries",
            "FlamingoConfig.remat",
        ),
    ],
)
def test_advice_begins_with_what_is_largest(design, memory, first, named):
    (batch,) = design.batches.values()
    head, best, *_, last = advise(design, batch, memory, 16 * GIB)
    assert f"the largest part is {first}" in head
    assert named in best
    # More chips on the same axes make nothing smaller of what is whole on each.
    assert ("larger topology" if first == "temporaries" else "more chips alone do not help") in last


def test_an_impossible_mesh_is_refused_before_anything_is_compiled(resolve):
    with pytest.raises(ConfigError, match="does not fit 4 devices"):
        plan_lib.make_plan(dataclasses.replace(resolve(), mesh=MeshConfig(tensor=3)), parse_topology("v5e:2x2"))
