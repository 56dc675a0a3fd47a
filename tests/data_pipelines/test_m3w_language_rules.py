"""Languages are told apart on short paragraphs, and English stays English among code, names and numbers."""

import pytest

from data_pipelines.m3w import language_rules
from data_pipelines.m3w.language_rules import LanguageRules
from tests.data_pipelines import language_samples

ENGLISH = LanguageRules()


@pytest.mark.parametrize("text", [*language_samples.ENGLISH, *language_samples.ODD_ENGLISH])
def test_english_is_kept(text):
    assert language_rules.reason(text, ENGLISH) is None


@pytest.mark.parametrize("code, text", language_samples.FOREIGN)
def test_other_languages_are_dropped(code, text):
    assert language_rules.reason(text, ENGLISH) == "language_not_wanted"
    assert language_rules.language(text)[0] == code
    assert language_rules.reason(text, LanguageRules(languages=("en", code))) is None


def test_the_samples_are_many():
    assert len(language_samples.FOREIGN) >= 30 and len({code for code, _ in language_samples.FOREIGN}) >= 12


def test_the_middle_and_the_end_of_a_page_count():
    english, (_, german) = " ".join(language_samples.ENGLISH) * 2, language_samples.FOREIGN[0]
    menu = "Home About Contact Imprint. "
    assert language_rules.reason(menu + german * 12, ENGLISH) == "language_not_wanted"
    assert language_rules.reason(german + english * 3, ENGLISH) is None


def test_an_unsure_answer_drops():
    names = "Marta Pek, Ola Lind, Jan Krol, Ana Reis, Uwe Bohm"
    code, probability = language_rules.language(names)
    lenient = LanguageRules(languages=(code,), min_probability=0.0)
    assert probability < 0.9 and language_rules.reason(names, lenient) is None
    strict = LanguageRules(languages=(code,), min_probability=0.9)
    assert language_rules.reason(names, strict) == "language_uncertain"


@pytest.mark.parametrize("text", ["", "  \n", "12 345,67 — 89%", "© 2021 | ★★★"])
def test_text_without_letters_has_no_language(text):
    assert language_rules.language(text) == ("und", 0.0)
    assert language_rules.reason(text, ENGLISH) == "language_not_wanted"
    assert language_rules.reason(text, LanguageRules(languages=())) is None


def test_the_sample_is_bounded_and_spread():
    text = "".join(f"{number:07d} " for number in range(5000))
    sample = language_rules.sample(text)
    assert len(sample) < 1010
    assert sample.startswith(text[:200]) and sample.endswith(text[-200:])
    assert sum(place * 10_000 < text.index(piece) < (place + 1) * 10_000 for place in range(4)
               for piece in [sample[place * 251 + 20 : place * 251 + 200]]) == 4  # fmt: skip
    assert language_rules.sample("short") == "short"


def test_the_answer_depends_on_the_text_alone():
    text = language_samples.ODD_ENGLISH[0]
    assert {language_rules.language(text) for _ in range(5)} == {language_rules.language(text)}


def test_lone_surrogates_do_no_harm():
    assert language_rules.language("a page with a broken \ud800 character in the middle of it")[0] == "en"
