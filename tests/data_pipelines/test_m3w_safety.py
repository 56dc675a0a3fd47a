"""Explicit content by address, by words and by a classifier of the user's own."""

import dataclasses
import sys

import pytest

from data_pipelines.m3w import safety
from data_pipelines.m3w.safety import SafetyRules
from data_pipelines.output import BuildError

RULES = SafetyRules()
CLASSIFIERS = """
class Both:
    made = 0
    def __init__(self):
        type(self).made += 1
    def score_text(self, text):
        return 0.9 if "red" in text else 0.1
    def score_image(self, encoded):
        return len(encoded) / 10

class TextOnly:
    def score_text(self, text):
        return 1.0

def make():
    return TextOnly()

def make_nothing():
    return object()

class Odd:
    def score_text(self, text):
        return float("nan")
    def score_image(self, encoded):
        return "0.5"

ready = TextOnly()
number = 3
"""


@pytest.fixture
def rules(tmp_path, monkeypatch):
    """Rules with a classifier of this name."""
    (tmp_path / "my_classifiers.py").write_text(CLASSIFIERS)
    (tmp_path / "my_broken.py").write_text("import no_such_package")
    monkeypatch.syspath_prepend(tmp_path)
    safety._make.cache_clear()
    yield lambda name, **options: SafetyRules(classifier=f"my_{name}", **options)
    safety._make.cache_clear()
    sys.modules.pop("my_classifiers", None)


@pytest.mark.parametrize(
    "url",
    ["http://porn.example/1", "http://x.example/SEXY/1.jpg", "http://x.example/a?b=xxx", "http://x.example/%73ex"],
)
def test_explicit_addresses(url):
    assert safety.page_reason(url, "", RULES) == "page_url_explicit"
    assert safety.image_reason(["http://x.example/1.jpg", url], None, RULES) == "image_url_explicit"


@pytest.mark.parametrize(
    "url",
    [
        "http://www.essex.gov.uk/parks",
        "http://x.example/Middlesex_county.jpg",
        "sextant.png",
        "data:image/png;base64,aaxxxSEXaa",
        "manual/page.html",
    ],
)
def test_harmless_addresses(url):
    assert safety.page_reason(url, "", RULES) is None
    assert safety.image_reason([url], b"", RULES) is None


def test_an_exception_excuses_nothing_else():
    assert safety.explicit_url("http://essex.example/sex", RULES)


def test_explicit_words_are_counted_as_words():
    plain = "the committee on health published its report " * 20  # 140 words
    assert safety.page_reason("a", plain + "porn", RULES) is None  # a page may speak of it
    assert safety.page_reason("a", plain + "PORN, hentai!", RULES) == "page_text_explicit"
    assert safety.page_reason("a", plain + "pornography milford " * 9, RULES) is None
    assert safety.page_reason("a", "", RULES) is None
    assert safety.page_reason("a", "porn", dataclasses.replace(RULES, words=())) is None


def test_the_classifier_decides_about_text_and_images(rules):
    config = rules("classifiers:Both")
    assert safety.page_reason("a", "a red house", config) == "page_text_unsafe"
    assert safety.page_reason("a", "a blue house", config) is None
    assert safety.image_reason([], b"123456", config) == "image_unsafe"
    assert safety.image_reason([], b"12345", config) is None  # 0.5 is not more than 0.5
    assert safety.image_reason([], None, config) is None
    strict = rules("classifiers:Both", max_text_score=0.05, max_image_score=0.05)
    assert safety.page_reason("a", "a blue house", strict) == "page_text_unsafe"
    assert safety.image_reason([], b"1", strict) == "image_unsafe"
    assert sys.modules["my_classifiers"].Both.made == 1


@pytest.mark.parametrize("name", ["TextOnly", "make", "ready"])
def test_classes_functions_and_objects_may_be_named(rules, name):
    config = rules(f"classifiers:{name}")
    safety.check(config)
    assert safety.page_reason("a", "text", config) == "page_text_unsafe"
    assert safety.image_reason([], b"12345678", config) is None  # it scores no images


def test_the_check_makes_nothing(rules):
    safety.check(rules("classifiers:Both"))
    assert sys.modules["my_classifiers"].Both.made == 0
    safety.check(RULES)


@pytest.mark.parametrize(
    "name, message",
    [
        ("classifiers", "package.module:name"),
        ("classifiers:", "package.module:name"),
        ("missing:it", "cannot import my_missing .*PYTHONPATH"),
        ("broken:it", "no_such_package"),
        ("classifiers:nobody", "has no nobody"),
        ("classifiers:number", "neither score_text nor score_image"),
    ],
)
def test_a_wrong_name_is_one_error_at_the_start(rules, name, message):
    with pytest.raises(BuildError, match=message):
        safety.check(rules(name))


def test_what_a_function_makes_is_checked(rules):
    with pytest.raises(BuildError, match="neither score_text nor score_image"):
        safety.page_reason("a", "text", rules("classifiers:make_nothing"))


def test_scores_that_are_none(rules):
    with pytest.raises(BuildError, match="score_text returned nan"):
        safety.page_reason("a", "text", rules("classifiers:Odd"))
    with pytest.raises(BuildError, match=r"score_image returned '0\.5'"):
        safety.image_reason([], b"1", rules("classifiers:Odd"))


def test_what_becomes_of_the_page():
    assert safety.drops_page(RULES)
    assert not safety.drops_page(SafetyRules(image_hit="drop_image"))
    with pytest.raises(ValueError, match="image_hit"):
        SafetyRules(image_hit="blur")
