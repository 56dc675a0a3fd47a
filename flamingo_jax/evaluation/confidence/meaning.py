"""Which answers mean the same, for semantic entropy (Kuhn et al. 2023, https://arxiv.org/abs/2302.09664).

They ask a model of entailment; answers to questions about pictures are short enough for a dictionary.
"""

import functools
import math
from collections import Counter
from collections.abc import Sequence

from flamingo_jax.evaluation.metrics.english.wordnet import Sense, wordnet
from flamingo_jax.evaluation.metrics.vqa import normalize


def same_meaning(one: str, other: str) -> bool:
    """Whether two answers are equal after the normalization of VQA, or terms with a common sense in WordNet.

    "A car." means the same as "automobile", "red" not the same as "blue".

    Raises:
      ImportError: the package with WordNet is not installed.
    """
    one, other = normalize(one), normalize(other)
    return one == other or bool(_senses(one) & _senses(other))


def groups(answers: Sequence[str]) -> list[int]:
    """The number of each answer's group: that of the first one, by its first answer, which it means the same as.

    Raises:
      ImportError: as `same_meaning`.
    """
    firsts: list[str] = []
    found = []
    for answer in answers:
        place = next((place for place, first in enumerate(firsts) if same_meaning(answer, first)), len(firsts))
        if place == len(firsts):
            firsts.append(answer)
        found.append(place)
    return found


def entropy(answers: Sequence[str]) -> float:
    """The entropy of the groups' shares, in nats; 0 where all mean the same.

    The discrete estimate, which counts samples (Farquhar et al. 2024, https://doi.org/10.1038/s41586-024-07421-0): an
    answer that was cut has no likelihood of its own.
    """
    counts = Counter(groups(answers)).values()
    return math.fsum(count / len(answers) * math.log(len(answers) / count) for count in counts)


@functools.lru_cache(maxsize=1 << 16)
def _senses(text: str) -> frozenset[Sense]:
    return wordnet().senses(text.replace(" ", "_"))
