"""Whether a page repeats itself: Gopher's repetition rules (Rae et al. 2021, table A1), one function a rule."""

import dataclasses
from collections.abc import Callable

from data_pipelines.m3w.text_rules import PageText


@dataclasses.dataclass(frozen=True)
class RepetitionRules:
    """Caps on repetition. The shares of n-grams are shares of the page's characters, white space apart.

    Attributes:
      max_duplicate_lines: drop a page with a greater share of repeated paragraphs.
      max_duplicate_line_characters: drop a page with a greater share of characters in repeated paragraphs.
      max_top_ngrams: drop a page whose most frequent 2-, 3- or 4-gram has a greater share of the characters.
      max_duplicate_ngrams: drop a page whose repeated 5- to 10-grams have a greater share of the characters.
    """

    max_duplicate_lines: float = 0.3
    max_duplicate_line_characters: float = 0.2
    max_top_ngrams: tuple[float, ...] = (0.20, 0.18, 0.16)
    max_duplicate_ngrams: tuple[float, ...] = (0.15, 0.14, 0.13, 0.12, 0.11, 0.10)


def duplicate_lines(page: PageText, rules: RepetitionRules) -> bool:
    """Too many paragraphs have stood on the page before."""
    return len(page.lines) - len(set(page.lines)) > rules.max_duplicate_lines * len(page.lines)


def duplicate_line_characters(page: PageText, rules: RepetitionRules) -> bool:
    """Too many characters lie in paragraphs that have stood on the page before."""
    total = sum(map(len, page.lines))
    return total - sum(map(len, set(page.lines))) > rules.max_duplicate_line_characters * total


def top_ngram(page: PageText, rules: RepetitionRules) -> bool:
    """One n-gram that occurs at least twice makes up too much of the page."""
    for n, cap in enumerate(rules.max_top_ngrams, start=2):
        allowed = cap * page.characters
        if page.repeated.bound(n) > allowed and page.repeated.most_characters(n) > allowed:
            return True
    return False


def duplicate_ngrams(page: PageText, rules: RepetitionRules) -> bool:
    """Too many characters lie in n-grams that have stood on the page before; each character counts once."""
    lowest = min(rules.max_duplicate_ngrams, default=1.0) * page.characters
    for n, cap in enumerate(rules.max_duplicate_ngrams, start=5):
        repeated = page.repeated.repeated_characters(n)
        if repeated > cap * page.characters:
            return True
        if repeated <= lowest:  # a repeated (n+1)-gram lies within repeated n-grams: the share can only fall
            return False
    return False


_RULES: tuple[Callable[[PageText, RepetitionRules], bool], ...] = (
    duplicate_lines,
    duplicate_line_characters,
    top_ngram,
    duplicate_ngrams,
)


def reason(page: PageText, rules: RepetitionRules) -> str | None:
    """The name of the first rule that the page breaks, or None."""
    return next((rule.__name__ for rule in _RULES if rule(page, rules)), None)
