import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flamingo_jax.data import media
from flamingo_jax.data.document import Document, Image, Text
from flamingo_jax.data.errors import MediaError, RecordError
from flamingo_jax.data.images import Augmentation, load_image
from flamingo_jax.data.interleaved import InterleavedConfig
from flamingo_jax.data.sequence import media_in_window, next_image, previous_image, tokenize
from tests.data.samples import WordTokenizer, clip, page, picture_bytes


def config(**changes):
    return InterleavedConfig(**{"path": "", "batch_size": 1, "length": 24, "image_size": 16, **changes})


def layouts(longest):
    return st.lists(st.sampled_from(["i", "1", "3", "7"]), min_size=1, max_size=longest).map("".join)


@given(layouts(20), st.integers(0, 2**32), st.integers(4, 60), st.integers(1, 4))
@settings(deadline=None)
def test_a_row_is_a_window_of_the_stream(layout, seed, length, max_images):
    words = WordTokenizer()
    document = page("p", layout)
    chosen = config(length=length, max_images=max_images)
    row = chosen.example(document, words, np.random.default_rng(seed))
    stream = tokenize(document, words, chosen.paragraph_separator)
    used = int(row.segment_ids.sum())
    assert used == min(length, len(stream.tokens))
    candidates = []
    for start in range(len(stream.tokens) - used + 1):
        kept = min(max_images, len(media_in_window(stream, start, length)))
        for place in (previous_image, next_image):
            candidates.append((stream.tokens[start : start + used], place(stream, start, length, max_images), kept))
    found = (row.tokens[:used], row.image_index[:used], int(row.frame_mask.sum()))
    assert any(all(np.array_equal(a, b) for a, b in zip(found, c, strict=True)) for c in candidates)
    assert row.image_index.max() <= row.frame_mask.sum()
    assert row.positions.tolist() == [*range(used), *[0] * (length - used)]
    assert row.loss_mask.tolist() == [False, *[True] * (used - 1), *[False] * (length - used)]
    assert (row.tokens[used:] == words.eos_id).all() and not row.image_index[used:].any()
    assert (row.images[~row.frame_mask] == 0).all() and (row.images[row.frame_mask] > 0).any(axis=(1, 2, 3)).all()


def test_shapes_and_types(words):
    row = config(num_frames=2).example(page("p", "3i3"), words)
    assert row.tokens.shape == row.segment_ids.shape == row.positions.shape == row.image_index.shape == (24,)
    assert row.loss_mask.shape == (24,) and row.loss_mask.dtype == bool
    assert {row.tokens.dtype, row.segment_ids.dtype, row.positions.dtype, row.image_index.dtype} == {np.dtype(np.int32)}
    assert row.images.shape == (5, 2, 16, 16, 3) and row.images.dtype == np.uint8
    assert row.frame_mask.tolist() == [[True, False]] + [[False, False]] * 4


def test_window_starts_are_uniform(words):
    """Chi-squared over the 17 places where a full window can begin."""
    document = Document("p", (Text(" ".join(f"{chr(97 + place)}" for place in range(26))),))  # 29 tokens, all different
    chosen, rng = config(length=13), np.random.default_rng(0)
    stream = tokenize(document, words, "").tokens.tolist()
    starts = [stream.index(chosen.example(document, words, rng).tokens[0]) for _ in range(3400)]
    counts = np.bincount(starts, minlength=17)
    assert len(counts) == 17 and ((counts - 200) ** 2 / 200).sum() < 39.3  # p = 0.001 at 16 degrees of freedom


@pytest.mark.parametrize("p_next", [0.0, 0.25, 0.5, 1.0])
def test_rate_of_p_next(words, p_next):
    document, chosen, rng = page("p", "3i3"), config(p_next=p_next), np.random.default_rng(1)
    rate = np.mean([chosen.example(document, words, rng).image_index[1] == 1 for _ in range(1500)])
    assert abs(rate - p_next) <= 4 * np.sqrt(p_next * (1 - p_next) / 1500)


def test_windows_at_images_begin_with_a_tag(words):
    document, rng = page("p", "9i9i9i9"), np.random.default_rng(0)
    rows = [config(length=8, window="image", p_next=0.0).example(document, words, rng) for _ in range(60)]
    assert all(row.tokens[:3].tolist() == list(words.image_tag_ids) for row in rows)
    assert len({row.tokens.tobytes() for row in rows}) == 3


def test_without_generator_the_row_is_fixed_and_sees_the_previous_image(words):
    document = page("p", "2i2i" + "9" * 6, encoded=picture_bytes((200, 30, 60), (16, 16)))
    chosen = config(augment=Augmentation(brightness=1.0), p_next=1.0)
    row = chosen.example(document, words)
    stream = tokenize(document, words, "\n\n")
    assert (row.tokens == stream.tokens[:24]).all()
    assert (row.image_index == previous_image(stream, 0, 24, 5)).all()
    assert (row.images[row.frame_mask] == (200, 30, 60)).all()


def test_a_token_may_see_all_images_so_far(words):
    document = page("p", "2i2i2i2", encoded=picture_bytes())
    last, every = (config(images_seen=seen).example(document, words) for seen in ("last", "all"))
    np.testing.assert_array_equal(last.image_first, last.image_index)
    np.testing.assert_array_equal(every.image_index, last.image_index)
    np.testing.assert_array_equal(every.image_first, last.image_index > 0)
    assert last.image_index.max() == 3
    with pytest.raises(ValueError, match="images_seen must be 'last' or 'all'"):
        config(images_seen="next")


def test_only_kept_images_are_decoded(words, monkeypatch):
    """All other images of the page are not even images."""
    good, bad = picture_bytes(), b"not an image"
    items = [Text("a " * 30), Image(bad), Text("b " * 40)]
    items += [item for _ in range(3) for item in (Image(good), Text("c"))]
    items += [item for _ in range(4) for item in (Image(bad), Text("d " * 3))]
    document = Document("p", tuple(items))
    stream = tokenize(document, words, "\n\n")
    loads = []
    monkeypatch.setattr(
        media, "load_image", lambda encoded, **options: loads.append(encoded) or load_image(encoded, **options)
    )
    chosen = config(length=40, max_images=3)
    decoded = 0
    for seed in range(60):
        loads.clear()
        try:
            row = chosen.example(document, words, np.random.default_rng(seed))
        except MediaError:
            assert loads[-1] == bad
            continue
        assert loads == [good] * int(row.frame_mask.sum())
        decoded += len(loads)
    assert decoded and len(stream.media) == 8


def test_undecodable_image_names_page_and_image(words):
    with pytest.raises(MediaError, match=r"document 'p': p/1: 4 bytes that are no image of the formats"):
        config().example(page("p", "2i2", encoded=b"oops"), words)


def test_clips_in_pages(words, ten_seconds):
    document = Document("p", (Image(picture_bytes(), "a.png"), Text("a still"), *clip("b.mp4", ten_seconds).items))
    row = config(num_frames=4, frame_rate=0.25).example(document, words)
    assert row.frame_mask.tolist()[:2] == [[True, False, False, False], [True, True, True, False]]
    assert (row.images[1, 3] == row.images[1, 2]).all() and row.images[1, 3].any()


def test_empty_document_is_a_record_error(words):
    with pytest.raises(RecordError, match="document 'p': nothing in it"):
        config().example(Document("p", ()), words)


def test_openflamingo_targets(words):
    row = config(loss="chunks", p_next=0.0).example(page("p", "2i2i1"), words)
    #        BOS w w EOC tag*3  w w EOC tag*3  w EOC EOS
    wanted = [0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 0, 0, 0, 1, 1, 0]
    assert row.loss_mask[:16].astype(int).tolist() == wanted and not row.loss_mask[16:].any()


def test_openflamingo_targets_exclude_dropped_images(words):
    row = config(loss="chunks", p_next=0.0, max_images=1).example(page("p", "i2i1"), words)
    assert row.loss_mask.astype(int).tolist()[:14] == [0, 0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"p_next": 1.5}, r"p_next must lie in \[0, 1\]"),
        ({"max_images": 0}, "max_images must be positive"),
        ({"window": "middle"}, "window must be 'anywhere' or 'image'"),
        ({"loss": "none"}, "loss must be 'all' or 'chunks'"),
        ({"loss": "chunks"}, "set p_next to 0"),
        ({"batch_size": 0}, "batch_size must be positive"),
        ({"weight": -1.0}, "weight must not be negative"),
        ({"pad_value": (0, 0, 300)}, "pad_value must be three numbers"),
        ({"max_pixels": 10**9}, "max_pixels must lie in"),
        ({"image_size": 0}, "image_size must be positive"),
    ],
)
def test_wrong_options_are_errors(changes, message):
    with pytest.raises(ValueError, match=message):
        config(**changes)
