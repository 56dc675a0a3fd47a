"""From rows to figures: the score of each number of shots, with an interval."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from flamingo_jax.evaluation.benchmarks.benchmark import Benchmark, Item, Prediction, Score
from flamingo_jax.evaluation.metrics.intervals import bootstrap, bootstrap_statistic, over_seeds

_COSTLY_RESAMPLES = 200  # of scores that are no means over items


def result(
    benchmark: Benchmark,
    items: Sequence[Item],
    predictions: Mapping[int, Sequence[Prediction]],
    scores: Mapping[int, Score],
    shots: int,
    selection: str,
) -> dict[str, Any]:
    """The figures of one number of shots.

    The interval (95%) is Student's over the seeds where there are several, and else the bootstrap's over the items:
    the first tells how much the choice of examples matters, the second how much that of the questions does.

    Args:
      predictions, scores: seed -> of all items; predictions may be left out where scores have each item's share.
    """
    values = [score.value for score in scores.values()]
    if not np.isfinite(values).all():  # as of one class alone
        value, low, high, interval = np.nan, np.nan, np.nan, "none: there is no score"
    elif len(values) > 1:
        (value, low, high), interval = over_seeds(values), f"Student's t over {len(values)} seeds"
    else:
        ((seed, score),) = scores.items()
        value, (low, high) = score.value, _over_items(benchmark, items, predictions[seed], score)
        interval = "bootstrap over items"
    parts: dict[str, list[float]] = {}
    for score in scores.values():
        for name, part in score.parts.items():
            parts.setdefault(name, []).append(part)
    return {
        "shots": shots,
        "selection": selection,
        "seeds": [
            {"seed": seed, "value": _plain(score.value), "parts": {name: _plain(x) for name, x in score.parts.items()}}
            for seed, score in scores.items()
        ],
        "value": _plain(value),
        "low": _plain(low),
        "high": _plain(high),
        "interval": interval,
        "items": len(items),
        "parts": {name: _plain(float(np.mean(each))) for name, each in parts.items()},
    }


def _over_items(
    benchmark: Benchmark, items: Sequence[Item], predictions: Sequence[Prediction], score: Score
) -> tuple[float, float]:
    if score.per_item:
        return bootstrap(score.per_item)[1:]

    def statistic(places: np.ndarray) -> float:
        chosen = places.tolist()
        return benchmark.score([items[place] for place in chosen], [predictions[place] for place in chosen]).value

    return bootstrap_statistic(statistic, len(items), resamples=_COSTLY_RESAMPLES)[1:]


def _plain(value: float | None) -> float | None:
    """As JSON can hold it."""
    return None if value is None or not np.isfinite(value) else float(value)
