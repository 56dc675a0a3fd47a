"""CIDEr-D."""

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flamingo_jax.evaluation.metrics.cider import cider
from tests.evaluation.metrics.goldens import golden

INPUTS, OUTPUTS = golden("cider")
CANDIDATES = [item["candidate"] for item in INPUTS]
REFERENCES = [item["references"] for item in INPUTS]


def test_cider_is_that_of_the_official_evaluation():
    mean, per_image = cider(CANDIDATES, REFERENCES)
    assert mean == pytest.approx(OUTPUTS["corpus"]["cider"], abs=1e-9)
    np.testing.assert_allclose(per_image, OUTPUTS["per_image"]["cider"], atol=1e-9, rtol=0)


captions = st.lists(st.sampled_from(["cat", "dog", "runs", "sleeps"]), max_size=6).map(" ".join)


@settings(max_examples=40)
@given(st.lists(st.tuples(captions, st.lists(captions, min_size=1, max_size=3)), min_size=1, max_size=4))
def test_cider_is_its_definition(images):
    candidates, references = [image[0] for image in images], [image[1] for image in images]
    np.testing.assert_allclose(cider(candidates, references)[1], by_definition(candidates, references), atol=1e-9)


def by_definition(candidates: list[str], references: list[list[str]]) -> list[float]:
    """Formula by formula, for one length of n-grams after the other, on arrays over the whole vocabulary."""
    scores = np.zeros(len(candidates))
    for n in range(1, 5):
        counted = [[grams(caption, n) for caption in captions] for captions in references]
        said = [grams(caption, n) for caption in candidates]
        vocabulary = sorted(set().union(*said, *(counts for image in counted for counts in image)))
        images_with = np.array(
            [sum(any(gram in counts for counts in image) for image in counted) for gram in vocabulary]
        )
        idf = np.log(len(candidates)) - np.log(np.maximum(images_with, 1))
        for image, captions in enumerate(references):
            for caption, counts in zip(captions, counted[image], strict=True):
                mine, other = (np.array([held[gram] for gram in vocabulary]) * idf for held in (said[image], counts))
                norms = np.linalg.norm(mine) * np.linalg.norm(other)
                lengths = [sum(grams(text, 2).values()) for text in (candidates[image], caption)]
                penalty = math.exp(-((lengths[0] - lengths[1]) ** 2) / (2 * 6.0**2))
                if norms:
                    scores[image] += penalty * (np.minimum(mine, other) @ other) / norms * 10 / 4 / len(captions)
    return scores


def grams(caption: str, n: int) -> Counter:
    words = caption.split()
    return Counter(tuple(words[start : start + n]) for start in range(len(words) - n + 1))


def test_a_copy_of_the_only_reference_scores_ten():
    mean, per_image = cider(
        ["a cat sits on mats", "two dogs run through fields"],
        [["a cat sits on mats"], ["Two dogs run through fields."]],
    )
    np.testing.assert_allclose(per_image, [10, 10])
    assert mean == pytest.approx(10)


def test_an_empty_candidate_scores_nothing_and_counts():
    mean, per_image = cider(["", "a b c d"], [["one two"], ["a b c d"]])
    np.testing.assert_allclose(per_image, [0, 10])
    assert mean == pytest.approx(5)


@pytest.mark.parametrize(
    ("candidates", "references", "message"),
    [
        ([], [], "at least one image"),
        (["a"], [], "1 candidates for 0 images"),
        (["a", "b"], [["a"], []], "image 1 has no reference"),
    ],
)
def test_what_does_not_fit_is_an_error(candidates, references, message):
    with pytest.raises(ValueError, match=message):
        cider(candidates, references)
