"""Data about English that other packages ship: tags, tokens, senses, and how they are opened."""

import pickle

import pytest

from flamingo_jax.evaluation.metrics.english import resources
from flamingo_jax.evaluation.metrics.english.tagger import tags
from flamingo_jax.evaluation.metrics.english.wordnet import Sense, wordnet, wu_palmer
from flamingo_jax.evaluation.metrics.english.words import NLTK_3_3, NLTK_3_8_1, PYWSD_1_2_4, words


def test_tags_of_nltks_own_examples():
    # From the documentation of nltk.tag.perceptron and nltk.tag.
    fox = ["The", "quick", "brown", "fox", "jumps", "over", "the", "lazy", "dog"]
    assert tags(fox) == ["DT", "JJ", "NN", "NN", "VBZ", "IN", "DT", "JJ", "NN"]
    assert tags(["The", "red", "cat"]) == ["DT", "JJ", "NN"]
    assert tags(["John", "'s", "big", "idea", "is", "n't", "all", "that", "bad", "."]) == (
        ["NNP", "POS", "JJ", "NN", "VBZ", "RB", "PDT", "DT", "JJ", "."]
    )
    assert tags([]) == []


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("A dog. Mr. Smith's dog.", ["A", "dog", ".", "Mr.", "Smith", "'s", "dog", "."]),
        ("can't cannot gonna", ["ca", "n't", "can", "not", "gon", "na"]),
        ('"Hi," he said... $5 & 3.88!', ["``", "Hi", ",", "''", "he", "said", "...", "$", "5", "&", "3.88", "!"]),
        ("“quoted” (yes) a--b", ["“", "quoted", "”", "(", "yes", ")", "a", "--", "b"]),
        ("", []),
    ],
)
@pytest.mark.parametrize("style", [NLTK_3_3, PYWSD_1_2_4, NLTK_3_8_1])
def test_tokens_that_all_versions_agree_on(text, tokens, style):
    assert words(text, style) == tokens


def test_tokens_that_versions_differ_on():
    assert words("5*3 wait....", NLTK_3_8_1) == ["5", "*", "3", "wait", "...."]
    assert words("5*3 wait....", NLTK_3_3) == ["5*3", "wait", "...", "."]
    assert words("'quoted", NLTK_3_3) == words("'quoted", NLTK_3_8_1) == ["'quoted"]
    assert words("'q", NLTK_3_8_1) == ["'", "q"]
    assert words("'q", NLTK_3_3) == ["'q"]
    assert words("»» a", PYWSD_1_2_4) == ["»»", "a"]
    assert words("»» a", NLTK_3_3) == ["»", "»", "a"]


def test_dictionary_forms():
    found = wordnet()
    assert found.lemma("dogs", "n") == "dog"
    assert found.lemma("churches", "n") == "church"
    assert found.lemma("abaci", "n") == "abacus"
    assert found.lemma("surfing", "v") == "surf"
    assert found.lemma("better", "a") == "good"
    assert found.lemma("hardrock", "n") == "hardrock"
    assert found.forms("qzxv", "n") == []
    assert found.has("Ran")
    assert not found.has("qzxv")


def test_the_first_sense_is_of_the_first_part_of_speech():
    assert wordnet().first_sense("dog").name == "dog.n.01"
    assert wordnet().first_sense("runs").name == "run.n.01"
    assert wordnet().first_sense("red").name == "red.n.01"
    assert wordnet().first_sense("quickly").name == "quickly.r.01"
    assert wordnet().first_sense("unhappy").name == "unhappy.a.01"
    assert wordnet().first_sense("striped").name == "stripe.v.01"  # its form as a verb comes before the adjective
    assert wordnet().first_sense("qzxv") is None


def test_wu_palmer_of_a_small_tree():
    root = Sense("root.n.01", "n", ())
    animal = Sense("animal.n.01", "n", (root,))
    dog, cat = (Sense(f"{name}.n.01", "n", (animal,)) for name in ("dog", "cat"))
    stone = Sense("stone.n.01", "n", (root,))
    assert wu_palmer(dog, dog) == 1
    assert wu_palmer(dog, cat) == pytest.approx(2 * 2 / (3 + 3))
    assert wu_palmer(dog, animal) == pytest.approx(2 * 2 / (3 + 2))
    assert wu_palmer(dog, stone) == pytest.approx(2 * 1 / (3 + 2))


def test_only_verbs_have_a_common_root():
    run, think = Sense("run.v.01", "v", ()), Sense("think.v.01", "v", ())
    thing = Sense("thing.n.01", "n", ())
    assert wu_palmer(run, think) == pytest.approx(2 * 1 / (2 + 2))
    assert wu_palmer(run, thing) == pytest.approx(2 * 1 / (2 + 2))
    assert wu_palmer(thing, run) is None
    assert wu_palmer(Sense("red.a.01", "a", ()), Sense("big.a.01", "a", ())) is None


def test_a_missing_package_is_named_with_the_way_to_install_it():
    with pytest.raises(ImportError, match=r'no_such_package: pip install "flamingo-jax\[eval\]"'):
        resources.folder("no_such_package")
    with pytest.raises(ImportError, match=r'right version: pip install "flamingo-jax\[eval\]"'):
        resources.file_of("json", "no_such_file")


def test_pickles_are_read_as_data_alone(tmp_path):
    path = tmp_path / "some.pickle"
    path.write_bytes(pickle.dumps({"a": {1, 2}, "b": [0.5]}, protocol=2))
    assert resources.unpickled(path) == {"a": {1, 2}, "b": [0.5]}
    path.write_bytes(b"cos\nsystem\n(S'echo no'\ntR.")
    with pytest.raises(pickle.UnpicklingError, match=r"os.system"):
        resources.unpickled(path)
