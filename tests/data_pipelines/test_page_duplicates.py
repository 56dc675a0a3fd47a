"""MinHash signatures against the Jaccard similarity of the sets of shingles themselves."""

import hashlib
import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_pipelines.copies import page_duplicates
from data_pipelines.copies.page_duplicates import PageDuplicates

CONFIG = PageDuplicates()
SPOKEN = "The quick brown fox — it's 7 o'clock! — jumps over the lazy dog, naïvely, in Zürich and in 東京."


def page(seed, words=300, kept=0):
    """Words of a small vocabulary; the first `kept` are those of seed 0."""
    rng = np.random.default_rng(seed)
    drawn = rng.integers(0, 2000, words)
    drawn[:kept] = np.random.default_rng(0).integers(0, 2000, words)[:kept]
    return " ".join(f"w{word}" for word in drawn)


def jaccard(one, other, words=5):
    """Of the sets of shingles, without any hash."""

    def runs(text):
        split = text.split()
        return {tuple(split[start : start + words]) for start in range(len(split) - words + 1)}

    return len(runs(one) & runs(other)) / len(runs(one) | runs(other))


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 2**32), st.integers(0, 300))
def test_the_estimate_is_within_its_error(seed, kept):
    one, other = page(0), page(seed, kept=kept)
    true = jaccard(one, other)
    signatures = (page_duplicates.signature(text, CONFIG) for text in (one, other))
    # Five standard errors, and a step of the estimate.
    assert abs(page_duplicates.similarity(*signatures) - true) <= 5 * math.sqrt(true * (1 - true) / 128) + 1 / 128


def test_the_estimate_has_no_bias():
    errors = []
    for seed in range(1, 60):
        one, others = page(seed), page(seed + 1000).split()
        other = " ".join([*one.split()[: 5 * seed], *others[5 * seed :]])
        estimate = page_duplicates.similarity(*(page_duplicates.signature(text, CONFIG) for text in (one, other)))
        true = jaccard(one, other)
        errors.append((estimate - true) / math.sqrt(max(true * (1 - true), 1e-4) / 128))
    assert abs(np.mean(errors)) < 4 / math.sqrt(len(errors))
    assert np.std(errors) < 1.5


def test_copies_meet_in_a_bucket_and_others_do_not():
    for kept, expected in ((300, 1.0), (285, 1.0), (0, 0.0)):
        met = 0
        for seed in range(1, 51):
            one, other = (page_duplicates.signature(text, CONFIG) for text in (page(0), page(seed, kept=kept)))
            met += bool(set(page_duplicates.buckets(one, CONFIG)) & set(page_duplicates.buckets(other, CONFIG)))
        assert met == expected * 50


def test_the_curve_of_the_docstring():
    config = PageDuplicates(bands=4, rows=2, min_similarity=0.5)
    met, similarities = 0, []
    for seed in range(1, 200):
        one, other = page(seed), page(seed + 1000, kept=0)
        other = " ".join([*one.split()[:220], *other.split()[220:]])
        similarities.append(jaccard(one, other))
        signatures = [page_duplicates.signature(text, config) for text in (one, other)]
        met += bool(set.intersection(*(set(page_duplicates.buckets(it, config)) for it in signatures)))
    probability = 1 - (1 - np.mean(similarities) ** 2) ** 4
    assert abs(met / 199 - probability) < 4 * math.sqrt(probability * (1 - probability) / 199) + 0.02


def test_a_changed_word_leaves_a_page_similar():
    words = page(0).split()
    for place in (0, 150, 299):
        changed = " ".join([*words[:place], "changed", *words[place + 1 :]])
        one, other = (page_duplicates.signature(text, CONFIG) for text in (page(0), changed))
        assert page_duplicates.similar(one, other, CONFIG)
    assert not page_duplicates.similar(one, page_duplicates.signature(page(1), CONFIG), CONFIG)


def test_case_punctuation_and_white_space_do_not_count():
    other = SPOKEN.upper().replace(",", " ,\n\t").replace("—", "-")
    assert page_duplicates.digest(SPOKEN) == page_duplicates.digest(other)
    assert page_duplicates.signature(SPOKEN, CONFIG) == page_duplicates.signature(other, CONFIG)
    assert page_duplicates.digest(SPOKEN) != page_duplicates.digest(SPOKEN.replace("fox", "cat"))


def test_long_pages_are_hashed_in_parts(monkeypatch):
    long = page(3, words=1500)
    whole = page_duplicates.signature(long, CONFIG)
    monkeypatch.setattr(page_duplicates, "_BATCH", 10**6)
    assert page_duplicates.signature(long, CONFIG) == whole


@pytest.mark.parametrize("text", ["", " \n", "!?"])
def test_pages_without_words_are_in_no_bucket(text):
    empty = page_duplicates.signature(text, CONFIG)
    assert page_duplicates.buckets(empty, CONFIG) == ()
    assert not page_duplicates.similar(empty, empty, CONFIG)


def test_short_texts_are_one_shingle():
    assert page_duplicates.shingles("Two words", 5) == ["two words"]
    assert page_duplicates.shingles("a b c d e f", 5) == ["a b c d e", "b c d e f"]
    assert page_duplicates.signature("two words", CONFIG) != page_duplicates.signature("two", CONFIG)


def test_text_that_no_file_can_hold():
    assert page_duplicates.signature("lone \ud800 surrogate", CONFIG)


def test_every_process_and_python_finds_the_same():
    code = (
        "import sys; from data_pipelines.copies.page_duplicates import *;"
        "print(signature(sys.argv[1], PageDuplicates()).hex(), digest(sys.argv[1]).hex())"
    )
    other = subprocess.run(
        [sys.executable, "-X", "utf8", "-c", code, SPOKEN], capture_output=True, text=True, check=True, encoding="utf8"
    )
    signature, digest = page_duplicates.signature(SPOKEN, CONFIG), page_duplicates.digest(SPOKEN)
    assert other.stdout.split() == [signature.hex(), digest.hex()]
    # From Python 3.11, NumPy 2.4 and datasketch 2.0; corpora built by parts need it to stay.
    assert hashlib.blake2b(signature, digest_size=8).hexdigest() == "08faef7baba9e32e"


def test_buckets_are_the_bands():
    config = PageDuplicates(bands=3, rows=2)
    signature = page_duplicates.signature(SPOKEN, config)
    assert len(signature) == 4 * 6
    assert [key[2:] for key in page_duplicates.buckets(signature, config)] == [
        signature[0:8],
        signature[8:16],
        signature[16:24],
    ]
    assert len(set(page_duplicates.buckets(bytes(24), config))) == 3  # equal bands are different buckets


@pytest.mark.parametrize("options", [{"words": 0}, {"bands": 0}, {"rows": -1}, {"min_similarity": 0}])
def test_bad_options(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        PageDuplicates(**options)


def test_signatures_of_different_configs_do_not_compare():
    other = page_duplicates.signature(SPOKEN, PageDuplicates(bands=2))
    with pytest.raises(ValueError, match="different configs"):
        page_duplicates.similarity(other, page_duplicates.signature(SPOKEN, CONFIG))
