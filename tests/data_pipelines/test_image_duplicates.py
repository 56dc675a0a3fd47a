"""Repeated pictures: buckets that lose no pair, and which of several is kept."""

import dataclasses
import itertools
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_pipelines.copies import image_duplicates
from data_pipelines.copies.image_duplicates import ImageDuplicates
from flamingo_jax.data.duplicates import Fingerprint, Likeness

CONFIG = ImageDuplicates()
STRIPES = bytes(16 * (row % 16) for row in range(16) for _ in range(16))
CHECKS = bytes(255 * ((row + column) % 2) for row in range(16) for column in range(16))


def picture(bits, thumbnail=STRIPES, name=""):
    """A picture whose hash is `bits`; without a name of its own it is a file of its own all the same."""
    return Fingerprint(bits, bits ^ (2**64 - 1), thumbnail, (name or f"{bits:x}").encode().ljust(16, b"\0"))


@pytest.mark.parametrize("max_distance, count", [(0, 1), (1, 2), (2, 6), (3, 20), (4, 70)])
def test_near_hashes_share_a_bucket(max_distance, count):
    config = ImageDuplicates(max_distance=max_distance)

    @settings(max_examples=60, deadline=None)
    @given(st.integers(0, 2**64 - 1), st.lists(st.integers(0, 63), max_size=max_distance))
    def check(bits, changed):
        other = bits
        for bit in changed:
            other ^= 1 << bit
        keys = [image_duplicates.buckets(picture(it), config) for it in (bits, other)]
        assert set(keys[0]) & set(keys[1])
        assert [len(set(of_picture)) for of_picture in keys] == [count, count]

    check()


@pytest.mark.parametrize("max_distance", range(5))
def test_a_bucket_holds_few(max_distance):
    """At least 30 bits must agree: of random pictures hardly two meet."""
    config = ImageDuplicates(max_distance=max_distance)
    every_bit = [image_duplicates.buckets(picture(bits), config) for bits in (0, 2**64 - 1)]
    assert all((one[1] ^ other[1]).bit_count() >= 30 for one, other in zip(*every_bit, strict=True))


def test_the_second_of_a_page_is_dropped():
    page = [picture(0), picture(2**40 - 1, CHECKS), picture(0, name="copy"), picture(3), picture(0, CHECKS, "other")]
    assert image_duplicates.repeated(page, CONFIG) == (False, False, True, True, False)
    assert image_duplicates.repeated([], CONFIG) == ()
    alone = dataclasses.replace(CONFIG, on_page=Likeness(max_distance=0))
    assert image_duplicates.repeated(page, alone) == (False, False, True, False, False)


def test_a_dropped_picture_drops_no_other():
    """The third is like the second, which is dropped, and not like the first."""
    page = [picture(0), picture(0xFF), picture(0xFFFF)]
    assert image_duplicates.repeated(page, CONFIG) == (False, True, False)


def test_the_same_needs_hash_and_thumbnail():
    assert image_duplicates.same(picture(5), picture(6), CONFIG)
    assert not image_duplicates.same(picture(5), picture(5, CHECKS, "other"), CONFIG)
    assert not image_duplicates.same(picture(0), picture(7), CONFIG)
    flat = bytes(256)
    assert image_duplicates.same(picture(5, flat), picture(5, flat), CONFIG)
    assert not image_duplicates.same(picture(5, flat), picture(5, flat, "other file"), CONFIG)


def test_pages_are_counted_by_representatives():
    """Through real buckets: variants of three pictures get three names, whatever the order."""
    originals = [random.Random(seed).getrandbits(64) for seed in range(3)]
    variants = [
        picture(bits ^ (1 << first) ^ (1 << second) if first != second else bits, name=f"{number}-{first}-{second}")
        for number, bits in enumerate(originals)
        for first, second in itertools.product((0, 20), (0, 20, 21))
    ]
    for seed in range(3):
        random.Random(seed).shuffle(variants)
        smallest: dict = {}
        for one in variants:
            for key in image_duplicates.buckets(one, CONFIG):
                smallest[key] = min(one, smallest.get(key, one))
        names = {}
        for one in variants:
            mine = [smallest[key] for key in image_duplicates.buckets(one, CONFIG)]
            names[one] = image_duplicates.representative(one, mine, CONFIG)
        assert all(name <= one and image_duplicates.same(one, name, CONFIG) for one, name in names.items())
        assert len(set(names.values())) == 3


def test_a_picture_alone_stands_for_itself():
    assert image_duplicates.representative(picture(9), [picture(9), picture(2**60, CHECKS)], CONFIG) == picture(9)


def test_the_limit():
    assert [image_duplicates.too_many_pages(pages, CONFIG) for pages in (1, 10, 11)] == [False, False, True]


@pytest.mark.parametrize("options", [{"max_pages": 0}, {"max_distance": -1}, {"max_distance": 5}])
def test_bad_options(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        ImageDuplicates(**options)
