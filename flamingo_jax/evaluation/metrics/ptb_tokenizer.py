"""Penn Treebank tokens of captions, as the COCO caption evaluation has them."""

import functools
import re
from collections.abc import Iterator, Sequence

from flamingo_jax.evaluation.metrics.longest_match import Scanner
from flamingo_jax.evaluation.metrics.ptb_grammar import CLASSES, GRAMMAR, Edit

# Dropped after tokenizing. The names of brackets are listed in capitals while tokens are in lower case, so that
# brackets stay as words; the official evaluation has it so.
_PUNCTUATION = frozenset(["''", "'", "``", "`", "-LRB-", "-RRB-", "-LCB-", "-RCB-", *".?!,:;-", "--", "..."])
# Line ends to the tokenizer, which the official evaluation does not know to be such: captions would change places.
_LINE_ENDS = str.maketrans(dict.fromkeys("\n\r\x0b\x0c\u2028\u2029", " "))
_BRACKETS = str.maketrans(
    {"(": "-LRB-", ")": "-RRB-", "{": "-LCB-", "}": "-RCB-", "[": "-LSB-", "]": "-RSB-", " ": "\u00a0"}
)
_SMILEY_BRACKETS = str.maketrans({"(": "-LRB-", ")": "-RRB-", " ": "\u00a0"})
_FRACTIONS = str.maketrans({"\u00bc": "1/4", "\u00bd": "1/2", "\u00be": "3/4", "\u2153": "1/3", "\u2154": "2/3"})
_CURRENCIES = str.maketrans({"\u00a2": "cents", "\u00a3": "#", **dict.fromkeys("\u0080\u00a4\u20a0\u20ac", "$")})
_OPENING = {"'": "`", "&apos;": "`", '"': "``", "&quot;": "``"}
_CLOSING = {"&apos;": "'", '"': "''", "&quot;": "''"}
_CURLY = str.maketrans(
    {
        **dict.fromkeys("\u0091\u2018\u201b\u2039", "`"),
        **dict.fromkeys("\u0092\u2019\u203a", "'"),
        **dict.fromkeys("\u0093\u201c\u00ab", "``"),
        **dict.fromkeys("\u0094\u201d\u00bb", "''"),
    }
)
_QUOTE = re.compile("&apos;|&quot;|['\"]")


def tokenize(captions: Sequence[str]) -> list[str]:
    """Each caption as tokens joined by spaces: lower case, punctuation dropped; it may become empty.

    The official program reads all captions as one text, a caption a line, and now and then the beginning of the next
    line decides ("no." before a number); so does this.
    """
    if not captions:
        return []
    lines: list[list[str]] = [[]]
    for token in _tokens("\n".join(caption.translate(_LINE_ENDS) for caption in captions)):
        if token is None:
            lines.append([])
            continue
        here, *below = token.lower().split("\n")  # a tag whose attribute is quoted from one caption into the next
        lines[-1].append(here)
        lines.extend([part] for part in below)
    printed = (" ".join(tokens).rstrip() for tokens in lines)  # strips a wide space within the last token, too
    return [" ".join(token for token in line.split(" ") if token not in _PUNCTUATION) for line in printed]


@functools.cache
def _scanner() -> Scanner:
    return Scanner([rule for rule, _ in GRAMMAR], CLASSES)


def _tokens(text: str) -> Iterator[str | None]:
    """The tokens in their own case, and None for each end of a line."""
    scanner, start = _scanner(), 0
    while start < len(text):
        found = scanner.match(text, start)
        if found is None:  # no token can hold this character
            start += 1
            continue
        rule, end = found
        edit = GRAMMAR[rule][1]
        if edit is Edit.NEWLINE:
            yield None
        elif edit is not Edit.DROP:
            token, given_back = _edited(text[start:end], edit)
            yield token
            end -= given_back
        start = end


def _edited(token: str, edit: Edit) -> tuple[str, int]:
    """The token as it is written, and how many of its characters belong to the next one as well, or instead."""
    match edit:
        case Edit.GIVE_BACK_2:
            return token[:-2], 2
        case Edit.GIVE_BACK_3:
            return token[:-3], 3
        case Edit.ACRONYM:
            return (token[:-1] if len(token) == 2 else token), 1
        case Edit.ABBREVIATION:
            return token, 1
        case Edit.WORD:
            return token.replace("\u00ad", "") or "-", 0
        case Edit.LESS:
            return "<", 0
        case Edit.GREATER:
            return ">", 0
        case Edit.DASH:
            return "--", 0
        case Edit.HYPHENS:
            return ("--" if len(token) in (3, 4) else token), 0
        case Edit.DOTS:
            return "...", 0
        case Edit.OPENING_QUOTE:
            return _QUOTE.sub(lambda quote: _OPENING[quote.group()], token).translate(_CURLY), 0
        case Edit.CLOSING_QUOTE:
            return _QUOTE.sub(lambda quote: _CLOSING.get(quote.group(), "'"), token).translate(_CURLY), 0
        case Edit.AMPERSAND:
            return re.sub("&amp;", "&", token, flags=re.IGNORECASE), 0
        case Edit.CURRENCY:
            return token.translate(_CURRENCIES), 0
        case Edit.FRACTION:
            return token.translate(_FRACTIONS), 0
        case Edit.SPACES:
            return token.replace(" ", "\u00a0"), 0
        case Edit.BRACKETS:
            return token.translate(_BRACKETS if len(token) == 1 else _SMILEY_BRACKETS), 0
    return token, 0
