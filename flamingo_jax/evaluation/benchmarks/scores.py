"""From the items' shares to the figure that papers print."""

import math
from collections.abc import Sequence

import numpy as np

from flamingo_jax.config import ConfigError
from flamingo_jax.evaluation.benchmarks.benchmark import Item, Prediction, Score
from flamingo_jax.evaluation.metrics.top_k import top_k

_ROWS = 1024
"""Items whose candidates' scores are one array at a time: those of ImageNet's val would be 400 MB."""


def mean_score(values: Sequence[float | None], kinds: Sequence[str] = ()) -> Score:
    """The mean over items as a figure in percent, with the mean of each kind of item as parts.

    Args:
      values: each item's share, 0 to 1; None: the metric leaves the item out.
      kinds: of the items, in the same order, such as the type of the answer; "" for no kind. Empty: no parts.

    Returns:
      The score; NaN where no item has a share.
    """
    scaled = tuple(None if value is None else 100 * value for value in values)
    groups: dict[str, list[float]] = {}
    for kind, value in zip(kinds, scaled, strict=bool(kinds)):
        if kind and value is not None:
            groups.setdefault(kind, []).append(value)
    parts = {kind: _mean(group) for kind, group in sorted(groups.items())}
    return Score(_mean([value for value in scaled if value is not None]), scaled, parts)


def top_k_hits(items: Sequence[Item], predictions: Sequence[Prediction], k: int) -> list[float]:
    """1 for each item whose label is among the k likeliest candidates, 0 for the others."""
    hits = []
    for start in range(0, len(items), _ROWS):
        scores = np.array([one.scores for one in predictions[start : start + _ROWS]], np.float64)
        labels = np.array([item.label for item in items[start : start + _ROWS]])
        hits += top_k(scores, labels, k).astype(float).tolist()
    return hits


def check_references(items: Sequence[Item], title: str) -> None:
    """Checks that the items have something that predictions can be compared with.

    Raises:
      ConfigError: some do not, as in a split whose answers the release keeps back.
    """
    if bare := [item.key for item in items if not item.references]:
        raise ConfigError(
            f"{title}: {len(bare):,} of {len(items):,} items, such as {bare[0]}, have no public answers to score with. "
            "Choose a split with answers, or send the file of answers to the benchmark's evaluation server."
        )


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values) if values else math.nan
