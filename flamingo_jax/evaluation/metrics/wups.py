"""WUPS, a soft accuracy of short answers, as NExT-QA's open-ended evaluation computes it (Xiao et al. 2021).

Words that WordNet holds to be similar (Wu-Palmer) count in part; Malinowski & Fritz (2014) proposed it. This follows
`metrics.py` and `eval_oe.py` of NExT-OE and the versions that it pins, in what differs from the paper too.
"""

import functools
from collections.abc import Sequence

import numpy as np

from flamingo_jax.evaluation.metrics.english.tagger import tags
from flamingo_jax.evaluation.metrics.english.wordnet import wordnet, wu_palmer
from flamingo_jax.evaluation.metrics.english.words import NLTK_3_3, PYWSD_1_2_4, words

EXACT = ("DC", "DB")
"""Types of question whose answers (a count; yes or no) must be equal, where similar would be wrong."""

_BELOW = 0.1  # a similarity below the threshold counts this much of it
_TYPES = ("CW", "CH", "TN", "TC", "DB", "DC", "DL", "DO")
_MERGED = {"TP": "TN"}  # asked about before and after alike
_PRINTED = {"TN": "TPN"}
_PART_OF_SPEECH = {"NN": "n", "JJ": "a", "VB": "v", "RB": "r"}
_STOP_LIST = """
i me my myself we our ours ourselves you you're you've you'll you'd your yours yourself yourselves he him his himself
she she's her hers herself it it's its itself they them their theirs themselves what which who whom this that that'll
these those am is are was were be been being have has had having do does did doing a an the and but if or because as
until while to from of at for with about into through during again further then here there when where why how all any
each most other some such only own so than too very s t can will just don don't should should've now d ll m o re ve y
ain aren aren't couldn couldn't didn didn't doesn doesn't hadn hadn't hasn hasn't haven haven't isn isn't ma mightn
mightn't mustn mustn't needn needn't shan shan't shouldn shouldn't wasn wasn't weren weren't won won't wouldn wouldn't
"""
_STOP_WORDS = frozenset(_STOP_LIST.split())


def wups(
    prediction: str, answer: str, threshold: float, also: str | None = None, *, question_type: str | None = None
) -> float:
    """How similar a prediction is to the answer, in 0..1; the best of two answers where the question has another one.

    Args:
      prediction: what the model wrote.
      answer: the data set's answer.
      threshold: 0.9, or 0 for a lenient score: word similarities below it count a tenth.
      also: another answer that is right too.
      question_type: NExT-QA's; answers to those in `EXACT` score 1 if equal after `lemmas`, else 0.

    Raises:
      ImportError: the packages of the extra `eval` are not installed.
    """
    said = lemmas(prediction)
    answers = [lemmas(text) for text in (answer, also) if text is not None]
    if question_type in EXACT:
        return float(said in answers)
    return max(similarity(said, text, threshold) for text in answers)


def table(question_types: Sequence[str], scores: Sequence[float]) -> dict[str, float]:
    """Means of scores as NExT-QA's table has them: of each type of question, of each of the three groups, and of all.

    Args:
      question_types: of each question: CW, CH (causal), TN, TP, TC (temporal), DB, DC, DL, DO (descriptive).
      scores: of the same questions.

    Returns:
      Means by name, on the scale of `scores`: CW, CH, WUPS_C, TPN (TN and TP), TC, WUPS_T, DB, DC, DL, DO, WUPS_D and
      WUPS; without those that no question belongs to.

    Raises:
      ValueError: lengths that differ, no question, or an unknown type.
    """
    if len(question_types) != len(scores):
        raise ValueError(f"there are {len(scores)} scores for {len(question_types)} questions")
    if not len(scores):
        raise ValueError("WUPS needs at least one question, and got none")
    kinds = [_MERGED.get(kind, kind) for kind in question_types]
    if unknown := sorted(set(kinds) - set(_TYPES)):
        raise ValueError(f"unknown type of question {unknown[0]!r}; known are {', '.join((*_TYPES, *_MERGED))}")
    values = np.array(scores, np.float64)
    means = {}
    for group in "CTD":
        for kind in (kind for kind in _TYPES if kind[0] == group):
            means[_PRINTED.get(kind, kind)] = values[[own == kind for own in kinds]]
        means[f"WUPS_{group}"] = values[[own[0] == group for own in kinds]]
    means["WUPS"] = values
    return {name: float(part.mean()) for name, part in means.items() if len(part)}


def lemmas(text: str) -> str:
    """A text's words in lower case and dictionary form, without NExT-QA's stop words, joined by spaces.

    Raises:
      ImportError: the packages of the extra `eval` are not installed.
    """
    tokens = words(text, PYWSD_1_2_4)
    found = (_lemma(token.lower(), tag) for token, tag in zip(tokens, tags(tokens), strict=True))
    return " ".join(lemma for lemma in found if lemma not in _STOP_WORDS)


def similarity(prediction: str, answer: str, threshold: float) -> float:
    """WUPS of two texts as they are: the lesser of how well each covers the other.

    Raises:
      ImportError: the packages of the extra `eval` are not installed.
    """
    said, right = words(prediction, NLTK_3_3), words(answer, NLTK_3_3)
    return min(_coverage(said, right, threshold), _coverage(right, said, threshold))


def word_similarity(one: str, other: str, threshold: float) -> float:
    """1 for equal words, else the Wu-Palmer similarity of each word's first sense; 0 where there is none.

    Raises:
      ImportError: the package with WordNet is not installed.
    """
    if one == other:
        return 1.0
    found = _wu_palmer(one, other)
    return found if found >= threshold else _BELOW * found


def _coverage(these: Sequence[str], those: Sequence[str], threshold: float) -> float:
    """The product over `these` words of the best match among `those`; words without any match are left out."""
    best = [max((word_similarity(one, other, threshold) for other in those), default=0.0) for one in these]
    matched = [value for value in best if value]
    return float(np.prod(matched)) if matched else 0.0


@functools.lru_cache(maxsize=1 << 16)
def _wu_palmer(one: str, other: str) -> float:
    senses = wordnet().first_sense(one), wordnet().first_sense(other)
    if None in senses:
        return 0.0
    return wu_palmer(*senses) or 0.0


def _lemma(word: str, tag: str) -> str:
    """The dictionary form; where WordNet does not know that, the stem if WordNet knows it, or else the word."""
    part_of_speech = _PART_OF_SPEECH.get(tag[:2]) or _PART_OF_SPEECH.get(tags([word])[0][:2], "n")
    lemma = wordnet().lemma(word, part_of_speech)
    if wordnet().has(lemma):
        return lemma
    stem = _stemmer().stem(word)
    return stem if wordnet().has(stem) else word


@functools.cache
def _stemmer():
    try:
        from nltk.stem.porter import PorterStemmer  # slow to import
    except ImportError as error:
        raise ImportError('WUPS needs NLTK: pip install "flamingo-jax[eval]"') from error
    return PorterStemmer()
