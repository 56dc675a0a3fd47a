"""A world of coloured shapes in which some are common and some go together, and the absent ones worth asking after.

The three kinds of absent objects are POPE's (Li et al. 2023, arXiv:2305.10355, section 5): any; the most frequent ones
of the whole set; and those that most often go together with the objects in the picture. POPE takes half of its six
questions about a picture from the first three of each ranking, and so do we draw from the first three.
"""

import collections
import itertools
from collections.abc import Sequence

import numpy as np

from flamingo_jax.data.scenes.words import COLOURS, SHAPES

Object = tuple[str, str]
"""A colour and a shape."""
OBJECTS: tuple[Object, ...] = tuple(itertools.product(COLOURS, SHAPES))
IN_PICTURE = 3
KINDS = ("random", "popular", "adversarial")
_PICTURES = 1000  # of the world, by which is counted what is common; few of them are drawn
_COMPANIONS = 4  # objects that one often comes with
_TOGETHER = 0.7  # probability that the next object is a companion of the first
_FIRST = 3  # of a ranking


class World:
    """Which objects are in each picture, and how often they are at all and together."""

    def __init__(self, rng: np.random.Generator):
        order = rng.permutation(len(OBJECTS))
        weights = 1 / (1 + np.argsort(order))
        self._weights = weights / weights.sum()
        self._companions = [
            rng.permutation([other for other in range(len(OBJECTS)) if other != one])[:_COMPANIONS]
            for one in range(len(OBJECTS))
        ]
        self.pictures = tuple(self._picture(rng) for _ in range(_PICTURES))
        self._often = collections.Counter(one for picture in self.pictures for one in picture)
        self._together = collections.Counter(
            pair for picture in self.pictures for pair in itertools.permutations(picture, 2)
        )

    def _picture(self, rng: np.random.Generator) -> tuple[Object, ...]:
        chosen = [int(rng.choice(len(OBJECTS), p=self._weights))]
        while len(chosen) < IN_PICTURE:
            if rng.random() < _TOGETHER:
                one = int(rng.choice(self._companions[chosen[0]]))
            else:
                one = int(rng.choice(len(OBJECTS), p=self._weights))
            if one not in chosen:
                chosen.append(one)
        return tuple(OBJECTS[one] for one in chosen)

    def absent(self, picture: Sequence[Object], kind: str, taken: Sequence[Object], rng: np.random.Generator) -> Object:
        """An object that is not in the picture, nor among those asked after already.

        Args:
          kind: of `KINDS`.
        """
        ranked = [one for one in self.ranking(picture, kind) if one not in taken]
        return ranked[rng.integers(len(ranked) if kind == "random" else _FIRST)]

    def ranking(self, picture: Sequence[Object], kind: str) -> list[Object]:
        """All objects that are not in the picture, those that are likeliest to be thought of first."""
        others = [one for one in OBJECTS if one not in picture]
        if kind == "popular":
            return sorted(others, key=lambda one: -self._often[one])
        if kind == "adversarial":
            return sorted(others, key=lambda one: -sum(self._together[there, one] for there in picture))
        return others
