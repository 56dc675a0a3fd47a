"""Scanning with the longest match: against `re` where every match of a pattern is tried."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flamingo_jax.evaluation.metrics.longest_match import Rule, Scanner

PATTERNS = ["a|ab", "(a|b)*c", "a{2}b?", "[ab]{1,3}", "[^a]+", "a+(b|ba)*", "(ab?)?c", "\\*a", "[a\\-b]c?"]
text = st.text(alphabet="abc-*", max_size=7)


def longest(pattern: str, of: str, start: int) -> int:
    """The end of the longest match, by trying every end; -1: no match."""
    ends = range(start + 1, len(of) + 1)
    return max((end for end in ends if re.fullmatch(pattern, of[start:end])), default=-1)


@given(text, st.integers(0, 6))
def test_the_longest_match_of_the_first_rule(of, start):
    found = Scanner([Rule(pattern) for pattern in PATTERNS], {}).match(of, start)
    ends = [longest(pattern, of, start) for pattern in PATTERNS]
    best = max(ends)
    assert found == (None if best < 0 else (ends.index(best), best))


@given(text)
def test_what_follows_is_no_part_of_the_token(of):
    token, after = "a[ab]*", "b+c?"
    found = Scanner([Rule(token, after)], {}).match(of, 0)
    ends = [end for end in range(1, len(of) + 1) if re.fullmatch(f"({token})({after})", of[:end])]
    if not ends:
        assert found is None
        return
    fits = [m for m in range(1, ends[-1]) if re.fullmatch(token, of[:m]) and re.fullmatch(after, of[m : ends[-1]])]
    assert found == (0, fits[-1])


def test_what_follows_counts_where_lengths_are_compared():
    scanner = Scanner([Rule("ab"), Rule("a", "bc")], {})
    assert scanner.match("abc", 0) == (1, 1)
    assert scanner.match("abd", 0) == (0, 2)


def test_literals_have_either_case_and_brackets_do_not():
    scanner = Scanner([Rule("ab[c]")], {})
    assert scanner.match("ABc", 0) == (0, 3)
    assert scanner.match("ABC", 0) is None


def test_classes():
    assert Scanner([Rule("[\\x1]+")], {"x": str.isspace}).match(" 1\ta", 0) == (0, 3)


@pytest.mark.parametrize("pattern", ["(a", "a)", "[a", "a\\"])
def test_a_malformed_pattern_is_an_error(pattern):
    with pytest.raises(ValueError, match="pattern"):
        Scanner([Rule(pattern)], {})
