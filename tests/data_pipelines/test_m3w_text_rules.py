"""The quality and repetition rules: each at its threshold, and the n-gram shares against brute force."""

import random

import pytest

from data_pipelines.m3w import repetition_rules, text_rules
from data_pipelines.m3w.ngrams import RepeatedNgrams
from data_pipelines.m3w.repetition_rules import RepetitionRules
from data_pipelines.m3w.text_rules import PageText, TextRules

_WORDS = ("river", "stone", "cloud", "garden", "window", "the", "quiet", "morning", "light", "of", "bridge", "that")


def prose(words: int, seed: int = 0) -> list[str]:
    """Lines of ten words that break no rule."""
    rng = random.Random(seed)
    text = ["the", "of", *(rng.choice(_WORDS) + rng.choice("abcdefgh") for _ in range(words - 2))]
    return [" ".join(text[start : start + 10]) for start in range(0, words, 10)]


def test_good_prose_passes():
    page = PageText.of(prose(200))
    assert text_rules.reason(page, TextRules()) is None
    assert repetition_rules.reason(page, RepetitionRules()) is None


@pytest.mark.parametrize(
    ("good", "bad", "rule"),
    [
        (prose(50), prose(49), "too_few_words"),
        (prose(100_000), prose(100_001), "too_many_words"),
        ([*prose(50), "x " * 40], [*prose(50), "x " * 400], "odd_word_length"),
        ([*prose(50), "extraordinarily " * 40], [*prose(50), "extraordinarily " * 80], "odd_word_length"),
        ([*prose(99), "#" * 10], [*prose(99), "#" * 11], "too_many_symbols"),
        ([*prose(90), "and ... so on " * 3], [*prose(60), "and ... so " * 10], "too_many_symbols"),
        ([*prose(90), "one"], ["• " + line for line in prose(100)], "too_many_bullets"),
        (
            [*prose(70), *(f"{line}…" for line in prose(30, 1))],
            [*prose(60), *(f"{line}…" for line in prose(40, 1))],
            "too_many_ellipsis_lines",
        ),
        ([*prose(80), "1234 " * 20], [*prose(80), "1234 " * 21], "too_few_alphabetic_words"),
        ([*prose(60)], [line.replace("of", "xx").replace("that", "this") for line in prose(60)], "too_few_stop_words"),
    ],
)
def test_each_rule_at_its_threshold(good, bad, rule):
    bad_page = PageText.of(bad)
    if rule == "too_few_stop_words":
        assert len(text_rules.STOP_WORDS.intersection(bad_page.words)) == 1
    assert text_rules.reason(PageText.of(good), TextRules()) is None
    assert text_rules.reason(bad_page, TextRules()) == rule


def test_list_items_count_as_bullets():
    lines = prose(100)
    assert text_rules.reason(PageText.of(lines, list_items=9), TextRules()) is None
    assert text_rules.reason(PageText.of(lines, list_items=10), TextRules()) == "too_many_bullets"


def test_duplicate_lines():
    lines = [f"{letter} short line number {index}" for index, letter in enumerate("abcdefg")]
    rules = RepetitionRules(max_top_ngrams=(), max_duplicate_ngrams=(), max_duplicate_line_characters=1.0)
    assert repetition_rules.reason(PageText.of([*lines, *["again"] * 4]), rules) is None  # 3 of 11 stood there before
    assert repetition_rules.duplicate_lines(PageText.of([*lines[:6], *["again"] * 5]), rules)  # 4 of 11


def test_duplicate_line_characters():
    rules = RepetitionRules()
    page = PageText.of(["a" * 10, "b" * 60, "a" * 10, "c" * 20])
    assert not repetition_rules.duplicate_line_characters(page, rules)  # 10 of 100
    page = PageText.of(["a" * 21, "b" * 58, "a" * 21])
    assert repetition_rules.duplicate_line_characters(page, rules)  # 21 of 100


def _share_by_brute_force(words: list[str], n: int) -> int:
    """The characters of all words that lie in an n-gram that equals an earlier one."""
    covered = set()
    for start in range(len(words) - n + 1):
        if any(words[start : start + n] == words[earlier : earlier + n] for earlier in range(start)):
            covered.update(range(start, start + n))
    return sum(len(words[index]) for index in covered)


def test_repeated_characters_against_brute_force():
    rng = random.Random(3)
    for _ in range(200):
        words = [rng.choice(["a", "bb", "ccc"]) for _ in range(rng.randrange(0, 30))]
        for n in (2, 3, 5):
            assert RepeatedNgrams(words).repeated_characters(n) == _share_by_brute_force(words, n)


def _most_by_brute_force(words: list[str], n: int) -> int:
    """The characters in all occurrences of the most frequent n-gram that is repeated, of the longest of several."""
    grams = [words[start : start + n] for start in range(len(words) - n + 1)]
    ranked = sorted(((grams.count(gram), len("".join(gram))) for gram in grams), reverse=True)
    return ranked[0][0] * ranked[0][1] if ranked and ranked[0][0] > 1 else 0


def test_most_characters_against_brute_force_in_any_order_of_lengths():
    rng = random.Random(4)
    for _ in range(300):
        words = [rng.choice(["a", "bb", "ccc", "dddd"]) for _ in range(rng.randrange(0, 25))]
        ngrams = RepeatedNgrams(words)
        for n in rng.sample(range(2, 8), 6):
            assert ngrams.most_characters(n) == _most_by_brute_force(words, n) <= ngrams.bound(n)
            assert ngrams.repeated_characters(n) == _share_by_brute_force(words, n)


def test_top_ngrams_decide_as_if_every_n_were_counted():
    rng = random.Random(6)
    rules, decisions = RepetitionRules(), []
    for _ in range(300):
        words = [rng.choice(_WORDS) + rng.choice("ab") for _ in range(rng.randrange(20, 60))]
        words += [rng.choice(_WORDS) for _ in range(rng.randrange(2, 5))] * rng.randrange(0, 4)
        rng.shuffle(words)
        total = sum(map(len, words))
        expected = any(
            _most_by_brute_force(words, n) > cap * total for n, cap in enumerate(rules.max_top_ngrams, start=2)
        )
        decisions.append(expected)
        assert repetition_rules.top_ngram(PageText.of([" ".join(words)]), rules) == expected
    assert {True, False} == set(decisions)


def test_duplicate_ngrams_decide_as_if_every_n_were_looked_at():
    rng = random.Random(5)
    rules, decisions = RepetitionRules(), []
    for _ in range(300):
        words = [rng.choice(_WORDS) for _ in range(60)]
        length = rng.randrange(0, 14)
        words += words[:length]
        total = sum(map(len, words))
        expected = any(
            _share_by_brute_force(words, n) > cap * total for n, cap in enumerate(rules.max_duplicate_ngrams, start=5)
        )
        decisions.append(expected)
        assert repetition_rules.duplicate_ngrams(PageText.of([" ".join(words)]), rules) == expected
    assert {True, False} == set(decisions)


def test_top_ngram():
    page = PageText.of([*prose(60), "click here " * 12])
    assert repetition_rules.top_ngram(page, RepetitionRules())
    assert not repetition_rules.top_ngram(PageText.of(prose(60)), RepetitionRules())
    assert not repetition_rules.top_ngram(PageText.of(["one two"]), RepetitionRules())  # nothing is repeated
