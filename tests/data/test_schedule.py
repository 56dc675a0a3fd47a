"""Which datasets take part in a step, and that a dataset's rows follow one another whatever the strategy."""

import collections
import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flamingo_jax.data.mixture import Mixture, MixtureConfig
from flamingo_jax.data.pairs import PairsConfig
from flamingo_jax.data.schedule import Schedule
from tests.data.samples import WordTokenizer, pair, picture_bytes

NAMES = ("m3w", "align", "ltip", "vtp")


def mixture(**changes):
    datasets = tuple(
        (name, PairsConfig(path="", batch_size=size, length=12, image_size=8)) for name, size in (("a", 3), ("b", 2))
    )
    documents = [pair(f"k{place}", "a box", picture_bytes((place, 0, 0), (8, 8))) for place in range(12)]
    return Mixture(MixtureConfig(datasets, **changes), WordTokenizer(), {"a": documents, "b": documents})


@pytest.mark.parametrize("strategy", ["accumulate", "merged"])
def test_all_datasets_in_every_step(strategy):
    schedule = Schedule(strategy, NAMES, {})
    assert all(schedule.datasets(step) == NAMES for step in range(9))
    assert [schedule.batches_before("ltip", step) for step in range(4)] == [0, 1, 2, 3]


def test_equal_turns_go_round():
    schedule = Schedule("round_robin", NAMES, {})
    assert [schedule.datasets(step) for step in range(8)] == [(name,) for name in NAMES * 2]


@given(st.lists(st.integers(1, 7), min_size=1, max_size=4), st.integers(0, 200))
def test_turns_are_counted_and_spread(counts, steps):
    turns = dict(zip(NAMES, counts, strict=False))
    schedule = Schedule("round_robin", list(turns), turns)
    order = [schedule.datasets(step) for step in range(steps)]
    cycle = [schedule.datasets(step)[0] for step in range(sum(counts))]
    assert collections.Counter(cycle) == turns
    for name, count in turns.items():
        assert schedule.batches_before(name, steps) == order.count((name,))
        places = [place for place, each in enumerate(cycle) if each == name]
        # No dataset waits longer than even shares would have it, but for the places that others take first.
        gaps = [after - before for before, after in itertools.pairwise(places)]
        assert max(gaps, default=0) <= math.ceil(sum(counts) / count) + len(counts)


@pytest.mark.parametrize(("strategy", "turns"), [("accumulate", {}), ("merged", {}), ("round_robin", {"a": 2})])
def test_every_strategy_reads_each_record_once_an_epoch(strategy, turns):
    made = mixture(strategy=strategy, turns=turns)
    order = collections.defaultdict(list)
    for step in range(36):
        for name in made.schedule.datasets(step):
            order[name] += made.records(name, step)
    plain = mixture()
    for name, records in order.items():
        epochs = [records[start : start + 12] for start in range(0, len(records) - 11, 12)]
        assert len(epochs) >= 2 and all(sorted(epoch) == list(range(12)) for epoch in epochs)
        size = made.datasets[name].batch_size
        assert records == [record for step in range(len(records) // size) for record in plain.records(name, step)]


def test_a_step_has_nothing_of_the_others():
    made = mixture(strategy="round_robin")
    assert list(made.batch(0)) == ["a"] and list(made.batch(1)) == ["b"]
    with pytest.raises(ValueError, match="step 0 takes no batch of dataset 'b'"):
        made.sub_batch("b", 0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"strategy": "mixed"}, r"strategy is one of 'accumulate', 'round_robin', 'merged', got 'mixed'"),
        ({"turns": {"a": 2}}, "turns does nothing with strategy 'accumulate'"),
        ({"strategy": "round_robin", "turns": {"c": 1}}, r"turns gives each of \['a', 'b'\].*got {'c': 1}"),
        ({"strategy": "round_robin", "turns": {"a": 0}}, r"got {'a': 0}"),
        ({"strategy": "round_robin", "turns": {"a": 1.5}}, r"got {'a': 1.5}"),
    ],
)
def test_wrong_options_are_errors(changes, message):
    with pytest.raises(ValueError, match=message):
        mixture(**changes)
