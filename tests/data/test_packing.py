"""Packing: who goes where, how much room each gets, and rows that hold what the documents' own rows hold."""

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flamingo_jax.data import media
from flamingo_jax.data.document import Document
from flamingo_jax.data.errors import RecordError
from flamingo_jax.data.images import Augmentation, load_image
from flamingo_jax.data.mixture import Mixture, MixtureConfig
from flamingo_jax.data.packing import deal, rooms
from flamingo_jax.data.pairs import PairsConfig, VideoConfig
from tests.data.samples import WordTokenizer, clip, pair, picture_bytes

STILL = Augmentation(False, 0.0, 0.0, 0.0)
OVERHEAD = 7  # of a pair in words: <BOS>, three for the tag, <EOC>, <EOS>, and one more for a caption of one word


def pairs_of(words, spoilt=()):
    """A pair for each number of caption words; the red of its picture is its place. `spoilt` ones cannot be decoded."""
    return [
        pair(
            f"k{place}",
            " ".join(f"w{place}x{word}" for word in range(count)),
            b"\xff\xd8oops" if place in spoilt else picture_bytes((place, 0, 0), (8, 8)),
        )
        for place, count in enumerate(words)
    ]


def packed(documents, batch_size=4, length=40, kind=PairsConfig, **changes):
    options = {"path": "", "image_size": 8, "augment": STILL, "prefix_space": 0.0}
    options |= {"documents_per_row": 3, "packing_group": 2}
    mixture = {name: changes.pop(name) for name in ("max_attempts", "seed") if name in changes}
    dataset = kind(**(options | changes), batch_size=batch_size, length=length)
    return Mixture(MixtureConfig(datasets=(("pairs", dataset),), **mixture), WordTokenizer(), {"pairs": documents})


def segments(batch, row):
    """For each segment of a row: the place that its picture tells, and its arrays."""
    for segment in range(1, batch["segment_ids"][row].max() + 1):
        held = batch["segment_ids"][row] == segment
        arrays = {key: batch[key][row][held] for key in batch if batch[key].shape == batch["tokens"].shape}
        yield int(batch["images"][row, segment - 1, 0, 0, 0, 0]), arrays


@given(st.integers(1, 5), st.integers(1, 4), st.data())
def test_every_document_is_dealt_once_and_rows_are_even(rows, per_row, data):
    sizes = data.draw(st.lists(st.integers(1, 50), min_size=rows * per_row, max_size=rows * per_row))
    dealt = deal(sizes, rows, per_row)
    assert [len(row) for row in dealt] == [per_row] * rows and all(row == sorted(row) for row in dealt)
    assert sorted(itertools.chain(*dealt)) == list(range(len(sizes)))


@given(st.lists(st.integers(1, 50), min_size=6, max_size=6))
@settings(max_examples=50, deadline=None)
def test_pairs_of_documents_are_dealt_as_evenly_as_can_be(sizes):
    """With two a row there is no better way: found by trying all orders."""

    def longest(order):
        return max(sizes[order[place]] + sizes[order[place + 1]] for place in (0, 2, 4))

    best = min(map(longest, itertools.permutations(range(6))))
    assert longest([*itertools.chain(*deal(sizes, 3, 2))]) == best


@pytest.mark.parametrize(
    ("mean", "per_row", "length", "group", "filled", "cut"),
    [
        (12.4, 1, 32, 1, 0.56, 0.058),
        (12.4, 8, 160, 1, 0.89, 0.066),
        (12.4, 8, 160, 4, 0.91, 0.021),
        (12.4, 8, 160, 16, 0.92, 0.004),
        (20.5, 1, 64, 1, 0.41, 0.020),
        (20.5, 8, 224, 1, 0.90, 0.090),
        (20.5, 8, 224, 4, 0.93, 0.041),
        (20.5, 8, 224, 16, 0.94, 0.014),
    ],
)
def test_shares_of_padding_are_those_of_the_documentation(mean, per_row, length, group, filled, cut):
    """`docs/data.md`: captions of the mean lengths of ALIGN and LTIP, log-normal with sigma 0.6."""
    drawn = np.random.default_rng(0).lognormal(np.log(mean) - 0.6**2 / 2, 0.6, 64 * 512)
    sizes = (6 + np.maximum(1, np.round(drawn))).astype(int).reshape(-1, group * per_row).tolist()
    used, short = 0, 0
    for part in sizes:
        for row in deal(part, group, per_row):
            granted = rooms([part[item] for item in row], length)
            used += sum(granted)
            short += sum(room < part[item] for item, room in zip(row, granted, strict=True))
    assert abs(used / (64 * 512 // per_row * length) - filled) < 0.01
    assert abs(short / (64 * 512) - cut) < 0.006


@given(st.lists(st.integers(1, 9), min_size=1, max_size=4), st.integers(4, 20))
@settings(max_examples=60)
def test_rooms_are_those_of_the_best_of_all_ways_to_cut(sizes, length):
    """The best: the smallest share as large as can be, then the next one, and so on; found by trying them all."""
    ways = itertools.product(*(range(1, size + 1) for size in sizes))
    best = max(sorted(way) for way in ways if sum(way) <= length)
    granted = rooms(sizes, length)
    assert sorted(granted) == best and all(room <= size for room, size in zip(granted, sizes, strict=True))
    assert granted == sizes or sum(granted) == length


@given(st.lists(st.integers(1, 30), min_size=24, max_size=24), st.integers(0, 50), st.sampled_from(["all", "chunks"]))
@settings(max_examples=25, deadline=None)
def test_segments_are_the_rows_of_their_documents(words, step, loss):
    documents, tokenizer = pairs_of(words), WordTokenizer()
    mixture = packed(documents, loss=loss, images_seen="all")
    batch = mixture.batch(step)["pairs"]
    assert batch["images"].shape == (4, 3, 1, 8, 8, 3) and batch["frame_mask"].all() and not batch["skipped"].any()
    asked = np.reshape(mixture.records("pairs", step), (4, 3))
    alone = dataclasses.replace(mixture.datasets["pairs"], length=100)  # `example` knows no packing
    for row in range(4):
        used, whole = batch["segment_ids"][row] > 0, 0
        assert used.tolist() == sorted(used, reverse=True) and (batch["tokens"][row][~used] == tokenizer.eos_id).all()
        for key in ("positions", "image_index", "image_first", "loss_mask"):
            assert not batch[key][row][~used].any()
        for place, (record, arrays) in enumerate(segments(batch, row)):
            assert record == asked[row, place]
            size = len(arrays["tokens"])
            expected = alone.example(documents[record], tokenizer)
            full = int(expected.segment_ids.sum())
            head, tail = size - 2, full - 2
            for key in ("tokens", "loss_mask"):
                own = getattr(expected, key)
                assert arrays[key].tolist() == [*own[:head], *own[tail:full]]
            assert arrays["positions"].tolist() == list(range(size))
            assert (arrays["image_index"] == place + 1).all() and (arrays["image_first"] == place + 1).all()
            whole += full
        assert used.sum() == min(40, whole)


def test_each_epoch_holds_every_document_once():
    mixture = packed(pairs_of([3] * 24))
    for epoch in range(3):
        steps = [mixture.batch(2 * epoch + step)["pairs"] for step in range(2)]
        seen = [record for batch in steps for row in range(4) for record, _ in segments(batch, row)]
        assert sorted(seen) == list(range(24))


def test_media_that_cannot_be_decoded_move_nothing_else():
    words = [1 + place * 7 % 20 for place in range(24)]
    spoilt = {2, 9, 17}
    clean, other = packed(pairs_of(words)), packed(pairs_of(words, spoilt))
    replaced = 0
    for step in range(6):
        one, two = clean.batch(step)["pairs"], other.batch(step)["pairs"]
        assert clean.records("pairs", step) == other.records("pairs", step)
        for row in range(4):
            before, after = [*segments(one, row)], [*segments(two, row)]
            lost = [record in spoilt for record, _ in before]
            assert two["skipped"][row] >= sum(lost) and (two["skipped"][row] > 0) == any(lost)
            replaced += sum(lost)
            granted = [len(arrays["tokens"]) for _, arrays in before]
            free = 40 - sum(granted)
            for place, ((record, arrays), (now, held)) in enumerate(zip(before, after, strict=True)):
                if not lost[place]:
                    assert now == record
                    assert all(np.array_equal(arrays[key], held[key]) for key in arrays)
                    continue
                assert now not in spoilt
                size = min(OVERHEAD - 1 + words[now], granted[place] + free)
                assert len(held["tokens"]) == size
                assert held["tokens"][-2:].tolist() == [WordTokenizer.eoc_id, WordTokenizer.eos_id]
                free += granted[place] - size
    assert replaced == 3 * 3  # 72 slots: three epochs


def test_text_that_cannot_be_read_counts_by_its_replacement():
    words = [1 + place * 7 % 20 for place in range(24)]
    documents = pairs_of(words)
    documents[5] = Document("no caption", documents[5].items[:1])
    mixture, skipped = packed(documents), 0
    for step in range(2):
        batch = mixture.batch(step)["pairs"]
        skipped += batch["skipped"].sum()
        for row in range(4):
            sizes = [OVERHEAD - 1 + words[record] for record, _ in segments(batch, row)]
            assert [len(arrays["tokens"]) for _, arrays in segments(batch, row)] == rooms(sizes, 40)
    assert skipped >= 1


def test_only_media_of_own_rows_are_decoded(monkeypatch):
    """A group of four rows over two hosts: each reads the text of both, and decodes the images of its own."""
    loaded = []
    monkeypatch.setattr(media, "load_image", lambda *args, **options: loaded.append(1) or load_image(*args, **options))
    mixture = packed(pairs_of([3, 9, 20, 1] * 6), packing_group=4)
    for host in (0, 1):
        mixture.batch(0, (host, 2))
        assert len(loaded) == 2 * 3
        loaded.clear()
    mixture.records("pairs", 0)
    assert not loaded


def test_clips_can_be_packed(ten_seconds):
    documents = [clip(f"c{place}", ten_seconds, "grey gets lighter") for place in range(3)]
    options = {"num_frames": 2, "documents_per_row": 2, "packing_group": 1}
    batch = packed(documents, kind=VideoConfig, batch_size=1, **options).batch(0)["pairs"]
    assert batch["images"].shape == (1, 2, 2, 8, 8, 3) and batch["frame_mask"].all()


def test_a_caption_without_tokens_has_the_least_room():
    documents = pairs_of([2] * 6)
    documents[1] = pair("k1", "\t", picture_bytes((1, 0, 0), (8, 8)))
    batch = packed(documents, batch_size=2, length=24).batch(0)["pairs"]
    sizes = {record: len(arrays["tokens"]) for row in range(2) for record, arrays in segments(batch, row)}
    assert sizes == {record: 6 if record == 1 else 8 for record in range(6)}


def test_a_slot_without_a_usable_record_is_one_clear_error():
    with pytest.raises(RecordError, match=r"1 records tried for slot \d+, none of use; the last: document 'k\d+'"):
        packed(pairs_of([3] * 6, range(6)), max_attempts=1).batch(0)
    with pytest.raises(RecordError, match="5 records tried for slot"):
        packed(pairs_of([3] * 6, range(6)), max_attempts=5).batch(0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"documents_per_row": 0}, r"PairsConfig\.documents_per_row must be at least 1"),
        ({"packing_group": 3}, r"packing_group = 3 must divide batch_size = 4"),
        ({"documents_per_row": 1}, "packing_group = 2 does nothing without packing"),
        ({"length": 20}, r"dataset 'pairs': length = 20 leaves no room for 3 documents of at least 7 tokens"),
    ],
)
def test_wrong_options_are_errors(changes, message):
    with pytest.raises(ValueError, match=message):
        packed(pairs_of([3] * 6), **changes)
