"""Sizes that programs are compiled for."""

from hypothesis import given
from hypothesis import strategies as st

from flamingo_jax.inference.buckets import batch_rows, bucket, chunks, image_places, prompt_length


def test_the_sizes():
    assert sorted({bucket(size) for size in range(1, 1025)}) == [
        *(1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024)
    ]
    assert [prompt_length(tokens) for tokens in (1, 32, 33, 48, 49, 2000)] == [32, 32, 48, 48, 64, 2048]
    assert sorted({image_places(images) for images in range(34)}) == [0, 1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33]


@given(st.integers(1, 10**6))
def test_nothing_is_cut_and_at_most_a_third_is_filling(size):
    assert size <= bucket(size) < 1.5 * size
    assert bucket(bucket(size)) == bucket(size)
    assert image_places(size) >= size


@given(st.integers(1, 100), st.integers(1, 40), st.integers(1, 16))
def test_rows_are_shared_evenly(rows, most, parts):
    found = batch_rows(rows, most, parts)
    assert found % parts == 0
    assert found <= max(most, parts)
    assert found >= min(rows, most // parts * parts)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=30), st.integers(1, 8))
def test_chunks_hold_each_place_once_and_like_sizes_together(sizes, most):
    found = chunks(sizes, most)
    assert sorted(place for chunk in found for place in chunk) == [*range(len(sizes))]
    assert all(0 < len(chunk) <= most for chunk in found)
    mixed = sum(len({sizes[place] for place in chunk}) - 1 for chunk in found)
    assert mixed <= max(0, len(set(sizes)) - 1)
