"""From the items' shares to figures."""

import numpy as np

from flamingo_jax.evaluation.benchmarks.benchmark import Item, MediaFile, Prediction
from flamingo_jax.evaluation.benchmarks.scores import top_k_hits
from flamingo_jax.evaluation.metrics.top_k import top_k


def test_hits_are_the_same_in_blocks():
    generator = np.random.default_rng(0)
    scores, labels = generator.normal(size=(2500, 7)), generator.integers(7, size=2500)
    items = [Item(str(place), MediaFile("a.jpg"), "", "", label=int(label)) for place, label in enumerate(labels)]
    said = [Prediction(scores=tuple(row)) for row in scores.tolist()]
    for k in (1, 5):
        assert top_k_hits(items, said, k) == top_k(scores, labels, k).tolist()
    assert top_k_hits([], [], 1) == []
