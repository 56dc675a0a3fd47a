"""Whether a page's text reads like prose: the quality rules of Gopher (Rae et al. 2021, table A1), one function a rule.

The thresholds are those of the paper as its open implementation in datatrove has them.
"""

import dataclasses
import functools
import itertools
from collections.abc import Callable, Sequence

from data_pipelines.m3w.ngrams import RepeatedNgrams

STOP_WORDS = frozenset(("the", "be", "to", "of", "and", "that", "have", "with"))
_BULLETS = ("•", "‣", "▪", "●", "◦", "○", "*", "-", "–", "·")
_ELLIPSES = ("...", "…")


@dataclasses.dataclass(frozen=True)
class TextRules:
    """Thresholds of the page rules. A word is what white space parts; a line is a paragraph.

    Attributes:
      min_words: drop a page with fewer words.
      max_words: drop a page with more words.
      min_mean_word_length: drop a page whose mean word has fewer characters.
      max_mean_word_length: drop a page whose mean word has more characters.
      max_symbol_ratio: drop a page with more "#" or more ellipses a word than this.
      max_bullet_lines: drop a page with a greater share of list items.
      max_ellipsis_lines: drop a page with a greater share of lines that end in an ellipsis.
      min_alphabetic_words: drop a page with a smaller share of words that have a letter.
      min_stop_words: drop a page with fewer different words among `STOP_WORDS`.
    """

    min_words: int = 50
    max_words: int = 100_000
    min_mean_word_length: float = 3.0
    max_mean_word_length: float = 10.0
    max_symbol_ratio: float = 0.1
    max_bullet_lines: float = 0.9
    max_ellipsis_lines: float = 0.3
    min_alphabetic_words: float = 0.8
    min_stop_words: int = 2


@dataclasses.dataclass(frozen=True)
class PageText:
    """A page's text, split once for all rules. `list_items` is how many of the lines are list items."""

    lines: Sequence[str]
    words: Sequence[str]
    list_items: int = 0

    @classmethod
    def of(cls, lines: Sequence[str], list_items: int = 0) -> "PageText":
        """Splits the lines into words."""
        return cls(lines, " ".join(lines).split(), list_items)

    @functools.cached_property
    def characters(self) -> int:
        """How many characters the words have."""
        return sum(map(len, self.words))

    @functools.cached_property
    def repeated(self) -> RepeatedNgrams:
        """The n-grams of the words that occur more than once."""
        return RepeatedNgrams(self.words)


def too_few_words(page: PageText, rules: TextRules) -> bool:
    """Fewer than `min_words`."""
    return len(page.words) < rules.min_words


def too_many_words(page: PageText, rules: TextRules) -> bool:
    """More than `max_words`."""
    return len(page.words) > rules.max_words


def odd_word_length(page: PageText, rules: TextRules) -> bool:
    """The mean number of characters in a word lies outside the range."""
    mean = page.characters / max(1, len(page.words))
    return not rules.min_mean_word_length <= mean <= rules.max_mean_word_length


def too_many_symbols(page: PageText, rules: TextRules) -> bool:
    """Too many number signs, or too many ellipses, a word."""
    text = "\n".join(page.lines)
    hashes = text.count("#")
    ellipses = sum(map(text.count, _ELLIPSES))
    return max(hashes, ellipses) > rules.max_symbol_ratio * len(page.words)


def too_many_bullets(page: PageText, rules: TextRules) -> bool:
    """Nearly all lines are list items, by their element or by the bullet that they begin with."""
    typed = sum(line.startswith(_BULLETS) for line in page.lines)
    return max(typed, page.list_items) > rules.max_bullet_lines * len(page.lines)


def too_many_ellipsis_lines(page: PageText, rules: TextRules) -> bool:
    """Too many lines are cut short."""
    return sum(line.endswith(_ELLIPSES) for line in page.lines) > rules.max_ellipsis_lines * len(page.lines)


def too_few_alphabetic_words(page: PageText, rules: TextRules) -> bool:
    """Too many words have no letter in them."""
    needed = rules.min_alphabetic_words * len(page.words)
    alphabetic = sum(map(str.isalpha, page.words))
    if alphabetic < needed:  # words with an apostrophe or a full stop are left to look at
        others = itertools.filterfalse(str.isalpha, page.words)
        alphabetic += sum(any(map(str.isalpha, word)) for word in others)
    return alphabetic < needed


def too_few_stop_words(page: PageText, rules: TextRules) -> bool:
    """Too few different stop words: a list, or not English."""
    return len(STOP_WORDS.intersection(page.words)) < rules.min_stop_words and (
        len(STOP_WORDS.intersection(map(str.lower, page.words))) < rules.min_stop_words
    )


_RULES: tuple[Callable[[PageText, TextRules], bool], ...] = (
    too_few_words,
    too_many_words,
    odd_word_length,
    too_many_symbols,
    too_many_bullets,
    too_many_ellipsis_lines,
    too_few_alphabetic_words,
    too_few_stop_words,
)


def reason(page: PageText, rules: TextRules) -> str | None:
    """The name of the first rule that the page breaks, or None."""
    return next((rule.__name__ for rule in _RULES if rule(page, rules)), None)
