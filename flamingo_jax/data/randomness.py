"""Randomness without state: numbers and permutations that depend on a key alone, on every machine and in every version.

NumPy's generators, the seeding from a 128-bit integer, `random()` and `integers()` are stable across releases; the
permutation below uses nothing but BLAKE2b.
"""

import functools
import hashlib

import numpy as np


def derive(*parts: int | str, bits: int = 128) -> int:
    """A `bits`-bit integer (a multiple of 8, at most 512) that is a hash of the parts; equal parts, equal integer."""
    digest = hashlib.blake2b(repr(parts).encode(), digest_size=bits // 8).digest()
    return int.from_bytes(digest, "little")


def generator(*parts: int | str) -> np.random.Generator:
    """A fresh generator whose stream is a function of the parts."""
    return np.random.default_rng(derive(*parts))


class Permutation:
    """A pseudo-random permutation of range(size) in constant memory: position in, element out, in any order.

    A Feistel network over the smallest even number of bits that holds `size`, walked along its cycle until the value
    falls inside (less than four passes on average). Works for any size, also above 2**32.
    """

    _ROUNDS = 6

    def __init__(self, size: int, *key: int | str):
        if size < 1:
            raise ValueError(f"a permutation needs at least one element, got {size}")
        self.size = size
        self._half = max(1, ((size - 1).bit_length() + 1) // 2)
        self._mask = (1 << self._half) - 1
        secret = derive(*key).to_bytes(16, "little")
        self._rounds = [hashlib.blake2b(bytes([index]), key=secret, digest_size=8) for index in range(self._ROUNDS)]

    def __getitem__(self, position: int) -> int:
        """The element at this position.

        Raises:
          IndexError: the position is not in range(size).
        """
        if not 0 <= position < self.size:
            raise IndexError(f"position {position} of a permutation of {self.size} elements")
        value = position
        while True:
            left, right = value >> self._half, value & self._mask
            for state in self._rounds:
                left, right = right, left ^ (self._mix(state, right) & self._mask)
            value = (left << self._half) | right
            if value < self.size:
                return value

    @staticmethod
    def _mix(state, value: int) -> int:
        state = state.copy()
        state.update(value.to_bytes(8, "little"))
        return int.from_bytes(state.digest(), "little")


@functools.lru_cache(maxsize=64)
def permutation(size: int, *key: int | str) -> Permutation:
    """`Permutation(size, *key)`, remembered for as long as it is in use: one per dataset and epoch."""
    return Permutation(size, *key)
