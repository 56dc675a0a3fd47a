"""Which language a page is written in.

py3langid decides (Lui and Baldwin 2012, "langid.py"; 142 languages, its model of 4.6 MB is in the package, nothing is
fetched). It looks at byte sequences, so code, names and numbers weigh little beside words. Its answer depends on the
text alone.
"""

import dataclasses
import functools

_SAMPLE, _PIECES = 1000, 4  # characters; 0.5 ms
UNKNOWN = "und"


@dataclasses.dataclass(frozen=True)
class LanguageRules:
    """In which languages pages may be.

    Attributes:
      languages: two-letter codes of ISO 639-1, such as "en"; none lets every page through.
      min_probability: drop a page of such a language when the classifier is less sure. Of 808 pages of English
        manuals with 50 words or more, 0.5 and the language drop two: a list of 600 contributors' names, and an index of
        single letters. Reference pages of signatures and tables stay.
    """

    languages: tuple[str, ...] = ("en",)
    min_probability: float = 0.5


def language(text: str) -> tuple[str, float]:
    """(code, probability) of the language that most of the text seems to be in; ("und", 0.0) for none.

    Of a long text four pieces are looked at, 1,000 characters in all, from its beginning to its end.

    Raises:
      ImportError: py3langid is not installed; it comes with the extra `data`.
    """
    if not any(map(str.isalpha, text)):
        return UNKNOWN, 0.0
    code, probability = _identifier().classify(sample(text))
    return code, float(probability)


def sample(text: str) -> str:
    """The part of the text that is looked at."""
    if len(text) <= _SAMPLE:
        return text
    size = _SAMPLE // _PIECES
    starts = [(len(text) - size) * piece // (_PIECES - 1) for piece in range(_PIECES)]
    return " ".join(text[start : start + size] for start in starts)


def reason(text: str, rules: LanguageRules) -> str | None:
    """The rule that the page's language breaks, or None."""
    if not rules.languages:
        return None
    code, probability = language(text)
    if code not in rules.languages:
        return "language_not_wanted"
    return "language_uncertain" if probability < rules.min_probability else None


@functools.cache
def _identifier():
    try:
        from py3langid import langid  # two seconds to load, and of use to few
    except ImportError as error:
        raise ImportError('telling languages needs py3langid: pip install "flamingo-jax[data]"') from error
    return langid.LanguageIdentifier.from_model_file(langid.MODEL_FILE, norm_probs=True)
