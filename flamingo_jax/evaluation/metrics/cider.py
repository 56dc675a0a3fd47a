"""CIDEr-D of captions (Vedantam et al. 2015), as the COCO caption evaluation computes it.

A caption's n-grams (n = 1 to 4) are weighted by how rare they are among the images' references; the score is the
cosine, clipped so that repeating a word does not pay, times a penalty for another length than the reference's. So an
image's score depends on the references of the whole set.
"""

import collections
import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from flamingo_jax.evaluation.metrics.ptb_tokenizer import tokenize

_LONGEST = 4  # words of an n-gram
_SIGMA = 6.0  # of the penalty for the difference in length
_SCALE = 10.0

_Vector = dict[tuple[str, ...], float]


def cider(candidates: Sequence[str], references: Sequence[Sequence[str]]) -> tuple[float, Float[np.ndarray, " images"]]:
    """The mean over the images and each image's CIDEr-D; 1.0 is the 100 of the usual tables.

    Args:
      candidates: one caption for each image, as generated; it may be empty, and then scores 0.
      references: the captions of people, one or more for each image.

    Raises:
      ValueError: no image, another number of candidates than images, or an image without references.
    """
    if len(candidates) != len(references):
        raise ValueError(f"there are {len(candidates)} candidates for {len(references)} images")
    if not candidates:
        raise ValueError("CIDEr needs at least one image, and got none")
    if alone := [index for index, captions in enumerate(references) if not captions]:
        raise ValueError(f"image {alone[0]} has no reference caption")
    words = iter(tokenize([caption for captions in references for caption in captions]))
    tokenized = [[next(words).split() for _ in captions] for captions in references]
    scores = _scores([caption.split() for caption in tokenize(candidates)], tokenized)
    return float(scores.mean()), scores


def _scores(candidates: list[list[str]], references: list[list[list[str]]]) -> Float[np.ndarray, " images"]:
    counted = [[_ngrams(caption) for caption in captions] for captions in references]
    images_with = collections.Counter(ngram for captions in counted for ngram in set().union(*captions))
    images = math.log(len(candidates))
    weights = {ngram: images - math.log(count) for ngram, count in images_with.items()}

    def weighed(counts: collections.Counter) -> tuple[list[_Vector], list[float]]:
        vectors: list[_Vector] = [{} for _ in range(_LONGEST)]
        for ngram, count in counts.items():
            vectors[len(ngram) - 1][ngram] = count * weights.get(ngram, images)
        return vectors, [math.sqrt(sum(value * value for value in vector.values())) for vector in vectors]

    scores = np.zeros(len(candidates))
    for image, (candidate, captions) in enumerate(zip(candidates, references, strict=True)):
        vectors, norms = weighed(_ngrams(candidate))
        total = 0.0
        for caption, counts in zip(captions, counted[image], strict=True):
            difference = _bigrams(candidate) - _bigrams(caption)  # the official code's notion of length
            penalty = math.exp(-(difference**2) / (2 * _SIGMA**2))
            others = zip(vectors, norms, *weighed(counts), strict=True)
            total += penalty * sum(_cosine(*pair) for pair in others)
        scores[image] = _SCALE * total / _LONGEST / len(captions)
    return scores


def _cosine(vector: _Vector, norm: float, other: _Vector, other_norm: float) -> float:
    """Of a candidate and a reference, with the candidate's counts clipped to the reference's."""
    if not norm or not other_norm:
        return 0.0
    return sum(min(value, other[ngram]) * other[ngram] for ngram, value in vector.items() if ngram in other) / (
        norm * other_norm
    )


def _ngrams(words: list[str]) -> collections.Counter:
    return collections.Counter(
        tuple(words[start : start + length])
        for length in range(1, _LONGEST + 1)
        for start in range(len(words) - length + 1)
    )


def _bigrams(words: list[str]) -> int:
    return max(len(words) - 1, 0)
