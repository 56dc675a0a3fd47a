"""Advice that can be taken: whatever it prints as a binding makes a run that its own checks accept."""

import re

import pytest

from flamingo_jax import config as config_lib
from flamingo_jax.parallel.topology import parse_topology
from flamingo_jax.planning.advice import advise
from flamingo_jax.planning.memory import RESERVE, Memory
from flamingo_jax.training.design import Design
from flamingo_jax.training.run import RunConfig
from tests import tiny_run
from tests.planning import tpu

pytestmark = tpu.needs_libtpu
GIB = 2**30
BINDING = re.compile(r"set ([\w.]+) = (.+?) \(now")
MICROBATCHES, ATTENTION = "run.RunConfig.microbatches", "flamingo.FlamingoConfig.attention"
REMAT = "flamingo.FlamingoConfig.remat"
JUST = int(31 * GIB / (1 - RESERVE)) - 1
LONG = [
    "decoder_config.DecoderConfig.num_layers=2",
    "interleaved.InterleavedConfig.batch_size=16",
    "interleaved.InterleavedConfig.length=512",
    "pairs.PairsConfig.batch_size=48",
    "pairs.VideoConfig.batch_size=16",
]
JOINED = [
    *LONG,
    "pairs.PairsConfig.length=512",
    "pairs.VideoConfig.length=512",
    'run.RunConfig.joined=(("m3w", "pairs"),)',
]
RUNS = {
    "one dataset": LONG,
    "others cut": [*LONG, f'{MICROBATCHES}={{"pairs": 4, "clips": 2}}'],
    "joined and cut": [*JOINED, f'{MICROBATCHES}={{"m3w+pairs": 2, "clips": 4}}'],
    "merged": [*LONG, 'mixture.MixtureConfig.strategy="merged"', f'{MICROBATCHES}={{"merged": 2}}'],
    "alibi": [*LONG, 'decoder_config.DecoderConfig.positions="alibi"'],
    "relative": [
        *LONG,
        'decoder_config.DecoderConfig.positions="relative"',
        "decoder_config.DecoderConfig.num_kv_heads=4",
    ],
    "capped": [*LONG, "decoder_config.DecoderConfig.attention_softcap=50.0"],
    "capped alibi": [
        *LONG,
        'decoder_config.DecoderConfig.positions="alibi"',
        "decoder_config.DecoderConfig.attention_softcap=50.0",
    ],
}
KERNELS = {"alibi": "'flash'", "relative": "'flash'", "capped alibi": None}
"""Where it is not splash: kernels that add to scores, and none does both."""


@pytest.fixture(scope="module")
def make(tmp_path_factory):
    """Designs of the tiny run on four chips, with these bindings."""
    path = tmp_path_factory.mktemp("gin") / "tiny.gin"
    path.write_text(tiny_run.GIN.format(root="/nowhere"))
    devices = parse_topology("v5e:2x2").devices()
    return lambda *bindings: Design.make(config_lib.resolve(RunConfig, [str(path)], [*bindings]), devices)


def advised(design: Design, capacity: int) -> dict[str, list[str]]:
    """Name -> the values that the advice offers, for a step that needs 30 GiB of temporaries."""
    (batch,) = design.batches.values()
    memory = Memory(frozen=GIB, trainable=0, optimizer=0, batch=0, temporaries=30 * GIB)
    lines = advise(design, batch, memory, capacity)
    return {name: values.split(", then ") for line in lines for name, values in BINDING.findall(line)}


@pytest.mark.parametrize("run", RUNS)
def test_every_binding_is_accepted(make, run):
    design = make(*RUNS[run])
    # A byte too much, and everything that frees some is told; and far too much, as many microbatches as there can be.
    few, many = advised(design, JUST), advised(design, 2 * GIB)
    assert {MICROBATCHES, "run.RunConfig.loss_chunk", REMAT} <= few.keys()
    assert few.get(ATTENTION, [None]) == [KERNELS.get(run, "'splash'")]
    for found in (few, many):
        changed = make(*RUNS[run], *(f"{name}={values[0]}" for name, values in found.items()))
        kept = design.config.microbatches.items() - changed.config.microbatches.items()
        assert {name for name, _ in kept} <= {"m3w+pairs", "merged"}  # what is cut further; nothing else is lost


@pytest.mark.parametrize("place", [1, 2])
def test_so_is_every_stronger_policy(make, place):
    values = advised(make(*LONG), JUST)[REMAT]
    assert len(values) == 3
    assert make(*LONG, f"{REMAT}={values[place]}").config.model.remat == values[place].strip("'")


def test_microbatches_are_as_few_as_fit(make):
    """Of 4 rows of pages and 12 of pairs on a chip: 2 or 4 parts, however many 16 rows could be cut into."""
    design = make(*JOINED)
    assert advised(design, 18 * GIB)[MICROBATCHES] == ["{'m3w+pairs': 2}"]
    assert advised(design, 2 * GIB)[MICROBATCHES] == ["{'m3w+pairs': 4}"]
    finest = make(*JOINED, f'{MICROBATCHES}={{"m3w+pairs": 4}}')
    assert MICROBATCHES not in advised(finest, 2 * GIB)
