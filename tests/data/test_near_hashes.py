"""Near hashes, against counting the differing bits of every pair in Python."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flamingo_jax.data.near_hashes import HashIndex

HASHES = st.integers(0, 2**64 - 1)


def brute_force(hashes, queries, max_distance):
    """(query, index, distance) in the order that is promised."""
    pairs = [
        (number, (query ^ one).bit_count(), index)
        for number, query in enumerate(queries)
        for index, one in enumerate(hashes)
    ]
    return [(query, index, bits) for query, bits, index in sorted(pairs) if bits <= max_distance]


def found(hashes, queries, max_distance):
    matches = HashIndex(np.array(hashes, np.uint64)).near(np.array(queries, np.uint64), max_distance)
    return list(zip(*(column.tolist() for column in matches), strict=True))


def crowded(seed, count):
    """Hashes around a few centres, as those of real pictures are, with their numbers of differing bits from 0 up."""
    rng = np.random.default_rng(seed)
    hashes = rng.integers(0, 2**64, 6, dtype=np.uint64)[rng.integers(0, 6, count)]
    for _ in range(rng.integers(0, 14)):
        changed = rng.random(count) < 0.7
        hashes = np.where(changed, hashes ^ (np.uint64(1) << rng.integers(0, 64, count, dtype=np.uint64)), hashes)
    return hashes.tolist()


@settings(max_examples=60, deadline=None)
@given(st.lists(HASHES, max_size=20), st.lists(HASHES, max_size=5), st.integers(0, 64))
def test_small_collections(hashes, queries, max_distance):
    assert found(hashes, queries, max_distance) == brute_force(hashes, queries, max_distance)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 13))
def test_large_collections(seed, max_distance):
    hashes = crowded(seed, 3500)  # enough for bands up to a distance of 8
    queries = [*hashes[:2], *crowded(seed + 1, 2)]
    assert found(hashes, queries, max_distance) == brute_force(hashes, queries, max_distance)


@pytest.mark.parametrize("max_distance", range(12))
def test_the_bits_may_differ_anywhere(max_distance):
    """Each way to share out the differing bits among the bands is found: none is lost to the pigeonholes."""
    rng = np.random.default_rng(max_distance)
    hashes = rng.integers(0, 2**64, 9000, dtype=np.uint64)
    for band in range(4):
        others = rng.permutation([bit for bit in range(64) if bit // 16 != band])
        inside = rng.permutation(16) + 16 * band
        for there in range(max_distance + 1):
            bits = [*inside[:there], *others[: max_distance - there]]
            query = int(hashes[17]) ^ sum(1 << int(bit) for bit in bits)
            assert (0, 17, max_distance) in found(hashes, [query], max_distance)


def test_equal_hashes_fill_several_blocks(monkeypatch):
    monkeypatch.setattr("flamingo_jax.data.near_hashes._BLOCK", 2048)
    hashes = [7] * 3000 + [7 ^ (1 << 40)] * 1000
    expected = [(0, index, 0) for index in range(3000)] + [(0, index, 1) for index in range(3000, 4000)]
    one_query = found(hashes, [7], 1)
    assert one_query == expected
    many = found(hashes, [7] * 3, 1)
    assert many == [(query, index, bits) for query in range(3) for _, index, bits in expected]


def test_one_hash_may_be_asked_for():
    matches = HashIndex(np.array([1, 3, 255], np.uint64)).near(2**63 + 1, 2)
    assert matches.index.tolist() == [0, 1] and matches.distance.tolist() == [1, 2]


@pytest.mark.parametrize("max_distance", [-1, 65])
def test_distances_that_cannot_be(max_distance):
    with pytest.raises(ValueError, match=r"must lie in \[0, 64\]"):
        HashIndex(np.zeros(1, np.uint64)).near(0, max_distance)
