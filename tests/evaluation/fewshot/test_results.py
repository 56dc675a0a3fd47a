"""The figures of a folder of rows: what they are of, and what they cost."""

import dataclasses
import json
import tracemalloc

import numpy as np
import pytest
from etils import epath

from flamingo_jax.evaluation.benchmarks.benchmark import Benchmark, Item, MediaFile, Score
from flamingo_jax.evaluation.fewshot.opening import _try_score
from flamingo_jax.evaluation.fewshot.results import Results, Setting
from flamingo_jax.evaluation.fewshot.splits import Split

CANDIDATES = 500
ITEMS = [Item(f"k{place}", MediaFile("a.png"), "", "", ("a",), ("a",) * CANDIDATES) for place in range(40)]


def score(items, predictions) -> Score:
    """The first candidate's score."""
    shares = tuple(float(one.scores[0]) for one in predictions)
    return Score(float(np.mean(shares)), shares)


BENCHMARK = Benchmark("b", "B", "mean", lambda folder, split: ITEMS, score, {}, "test")


def write(folder, setting, seed, count=40):
    rows = [
        {"key": item.key, "share": None, "scores": [place + number / 7 for number in range(CANDIDATES)]}
        for place, item in enumerate(ITEMS[:count])
    ]
    path = folder / f"{setting.way}-{setting.shots}-{seed}.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.fixture
def opened(tmp_path):
    """(folder, what makes its results)."""
    split = Split("test", ITEMS, ITEMS, 0)
    return tmp_path, lambda: Results(epath.Path(tmp_path), BENCHMARK, split, 4)


def test_scores_of_candidates_are_not_kept(opened):
    """Of ImageNet they are 50 million numbers a seed."""
    folder, make = opened
    write(folder, Setting("random", 4), 0)
    make()  # imports
    tracemalloc.start()
    try:
        results = make()
        kept, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    numbers = len(ITEMS) * CANDIDATES
    assert kept < 2 * numbers and most < 16 * numbers  # bytes; as Python has them they are 32 each
    ((found,), _) = results.figures().values()
    assert found["value"] == pytest.approx(np.mean(range(len(ITEMS)))) and found["low"] < found["value"] < found["high"]


def test_trying_the_score_costs_little():
    tracemalloc.start()
    try:
        _try_score(BENCHMARK, [dataclasses.replace(item) for item in ITEMS * 50])
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 1 << 20


def test_what_another_command_completes_is_in_the_figures(opened):
    folder, make = opened
    results = make()
    write(folder, Setting("random", 4), 0)
    write(folder, Setting("random", 8), 0, count=8)
    assert [found["shots"] for found in results.figures()["results"]] == [4]
    write(folder, Setting("random", 8), 0)
    write(folder, Setting("random", 4), 1)
    assert [(found["shots"], len(found["seeds"])) for found in results.figures()["results"]] == [(4, 2), (8, 1)]


def test_the_page_shows_what_is_complete(opened):
    """Rows of an unfinished setting have no shares yet, and it would be shown for its shots."""
    folder, make = opened
    for setting, count in ((Setting("random", 4), 40), (Setting("random", 8), 8), (Setting("blind", 4), 40)):
        write(folder, setting, 0, count)
    assert [path.name for path in make().files()] == ["random-4-0.jsonl"]
