"""The figures of a probe with intervals: the score and its parts, with pictures and without, and the difference."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from etils import epath
from jaxtyping import Float

from flamingo_jax.evaluation.benchmarks.benchmark import Benchmark, Item, Prediction, Score
from flamingo_jax.evaluation.fewshot.asking import prediction_of
from flamingo_jax.evaluation.fewshot.results import BLIND
from flamingo_jax.evaluation.fewshot.row_files import RowFiles
from flamingo_jax.evaluation.metrics.intervals import LEVEL
from flamingo_jax.html.files import write_whole

FILE = "probe.json"
_RESAMPLES = 300


def write_figures(
    benchmark: Benchmark, items: Sequence[Item], summary: Mapping[str, Any], folder: epath.Path
) -> list[dict[str, Any]]:
    """The figures of each number of shots, as JSON has them; also written to `probe.json` in the folder.

    Intervals (95%) are the bootstrap's: pictures are drawn anew with all their questions, the same ones for the model
    that sees and the one that does not, and figures are means over the seeds.

    Args:
      items: that were asked about.
      summary: of `evaluate_few_shot`.
      folder: that it wrote.
    """
    blind = {each["shots"]: each for each in summary["baselines"]}
    found = []
    for each in summary["results"]:
        shots, ways = each["shots"], {each["selection"]: each} | ({BLIND: blind[each["shots"]]} if blind else {})
        runs = {way: _runs(folder, way, shots, one) for way, one in ways.items()}
        figures = _figures(benchmark, items, runs[each["selection"]], runs.get(BLIND, []))
        found.append({"shots": shots, "selection": each["selection"], "figures": figures})
    write_whole(folder / FILE, json.dumps(found, indent=1) + "\n")
    return found


def _runs(folder: epath.Path, way: str, shots: int, result: Mapping[str, Any]) -> list[list[Prediction]]:
    """What was said with each seed."""
    paths = [folder / "rows" / f"{way}-{shots}-{each['seed']}.jsonl" for each in result["seeds"]]
    return [[*map(prediction_of, RowFiles([path]))] for path in paths]


def _figures(
    benchmark: Benchmark, items: Sequence[Item], seeing: list[list[Prediction]], blind: list[list[Prediction]]
) -> list[dict[str, Any]]:
    draws = [np.arange(len(items)), *_draws(items)]
    names = [benchmark.metric, *benchmark.score(items, seeing[0]).parts]
    ours = _values(benchmark, items, seeing, draws, names)
    theirs = _values(benchmark, items, blind, draws, names) if blind else None
    return [
        {
            "name": name,
            "seeing": _interval(ours[:, place]),
            "blind": None if theirs is None else _interval(theirs[:, place]),
            "difference": None if theirs is None else _interval(ours[:, place] - theirs[:, place]),
        }
        for place, name in enumerate(names)
    ]


def _draws(items: Sequence[Item]) -> list[np.ndarray]:
    """Places of the items of so many pictures as there are, drawn with replacement."""
    places: dict[str, list[int]] = {}
    for place, item in enumerate(items):
        places.setdefault(item.medium.path, []).append(place)
    groups = [np.array(group) for group in places.values()]
    rng = np.random.default_rng(0)
    return [
        np.concatenate([groups[one] for one in rng.integers(len(groups), size=len(groups))]) for _ in range(_RESAMPLES)
    ]


def _values(
    benchmark: Benchmark,
    items: Sequence[Item],
    runs: Sequence[Sequence[Prediction]],
    draws: Sequence[np.ndarray],
    names: Sequence[str],
) -> Float[np.ndarray, "draws names"]:
    """The mean over the runs of each figure on each draw; NaN where a draw lacks what a part is of."""

    def figures(run: Sequence[Prediction], draw: np.ndarray) -> list[float]:
        places = draw.tolist()
        score: Score = benchmark.score([items[place] for place in places], [run[place] for place in places])
        return [score.value, *(score.parts.get(name, np.nan) for name in names[1:])]

    return np.mean([[figures(run, draw) for draw in draws] for run in runs], axis=0)


def _interval(values: Float[np.ndarray, " draws"]) -> dict[str, float] | None:
    """Of the value on all items, which is the first, and on the draws; None: there is no value."""
    if not np.isfinite(values[0]):
        return None
    low, high = np.nanquantile(values[1:], [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return {"value": float(values[0]), "low": float(low), "high": float(high)}
