"""One random generator per item, so that asking for more items leaves the earlier ones as they were."""

import enum

import numpy as np


class Stream(enum.IntEnum):
    """What a generator is for. Values are part of the output: never renumber them."""

    PAGE = 1
    PICTURE = 2
    TRUNCATED = 3
    PAIR = 4
    CLIP = 5
    ASSET = 6


def generator(seed: int, stream: Stream, *index: int) -> np.random.Generator:
    """The generator of item `index` of a stream."""
    return np.random.default_rng([seed, int(stream), *index])
