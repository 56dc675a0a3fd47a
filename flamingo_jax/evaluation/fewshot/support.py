"""Which examples a prompt shows, and in which order."""

import hashlib
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from jaxtyping import Float

from flamingo_jax.evaluation.benchmarks.benchmark import Item


class Selection(Protocol):
    """Chooses examples for a query: `(query, its place among the queries, how many, seed) -> places in the support`."""

    def __call__(self, query: Item, place: int, count: int, seed: int) -> list[int]:
        """The examples in the prompt's order."""


def generator(seed: int, *key: str) -> np.random.Generator:
    """A generator that depends on these alone, and so neither on the order of the queries nor on a restart."""
    digest = hashlib.blake2b("\0".join((str(seed), *key)).encode(), digest_size=16).digest()
    return np.random.default_rng(int.from_bytes(digest, "big"))


class RandomSelection:
    """Examples drawn for each query, in random order; those of few shots are among those of many."""

    def __init__(self, size: int):
        self._size = size

    def __call__(self, query: Item, place: int, count: int, seed: int) -> list[int]:
        """See `Selection`."""
        return generator(seed, query.key).permutation(self._size)[:count].tolist()


class Rices:
    """Retrieval-based in-context example selection (paper, appendix A.2): the most alike examples, the nearest last.

    It draws nothing: the seed does not matter.
    """

    def __init__(self, queries: Float[np.ndarray, "queries width"], support: Float[np.ndarray, "support width"]):
        """
        Args:
          queries, support: features of length 1, of the frozen vision encoder.
        """
        self._queries, self._support = queries, support

    def __call__(self, query: Item, place: int, count: int, seed: int) -> list[int]:
        """See `Selection`."""
        likeness = self._support @ self._queries[place]
        nearest = np.argsort(-likeness, kind="stable")[:count]
        return nearest[::-1].tolist()


def permuted(places: Sequence[int], query: Item, seed: int, number: int) -> list[int]:
    """The examples in the order of permutation `number`; 0: as they are."""
    if not number:
        return list(places)
    order = generator(seed, query.key, f"permutation {number}").permutation(len(places))
    return [places[place] for place in order]
