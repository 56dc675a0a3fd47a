import pytest
from etils import epath

from flamingo_jax.config import ConfigError
from flamingo_jax.evaluation.benchmarks import rareact
from flamingo_jax.evaluation.benchmarks.actions import sentence, third_person
from flamingo_jax.evaluation.benchmarks.benchmark import Prediction
from flamingo_jax.evaluation.metrics.rareact import Row, mwap
from tests.evaluation.benchmarks.releases.rareact import MISSING, ROWS, write


@pytest.fixture
def folder(tmp_path):
    write(tmp_path)
    return epath.Path(tmp_path)


@pytest.mark.parametrize(
    ("verb", "noun", "expected"),
    [
        ("cut", "keyboard", "a person cuts a keyboard"),  # the paper's own example
        ("unplug", "oven", "a person unplugs an oven"),
        ("wash", "apple", "a person washes an apple"),
        ("fry", "phone", "a person fries a phone"),
        ("spray", "hair", "a person sprays hair"),
        ("measure", "carrots", "a person measures carrots"),
        ("peel", "corn", "a person peels corn"),
        ("drink", "chocolate", "a person drinks chocolate"),
        ("shake", "clothe", "a person shakes clothes"),  # as the table has it
        ("drill", "glass", "a person drills a glass"),
        ("weigh", "shoes", "a person weighs shoes"),
    ],
)
def test_sentences(verb, noun, expected):
    assert sentence(verb, noun) == expected


def test_third_persons():
    given = ("play", "carry", "mix", "buzz", "watch", "go", "press", "pick up")
    assert [third_person(verb) for verb in given] == [
        *("plays", "carries", "mixes", "buzzes", "watches", "goes", "presses", "picks up")
    ]


def test_segments_are_items(folder):
    items = rareact.read(folder, "test")
    assert [item.key for item in items] == list(dict.fromkeys(f"{row[0]}_{row[1]}_{row[2]}" for row in ROWS))
    assert len(items) == 9 < len(ROWS)
    twice = items[2]
    assert twice.medium.path == f"{folder}/videos/TLMbbbbbbb_B.mp4" and twice.medium.span == (2.0, 6.0)
    assert twice.prompt == "Caption:" and twice.answer == ""
    assert [row["id"] for row in twice.details["rows"]] == [2, 3, 4]
    assert twice.references == ("a person washes a phone",) and items[1].references == (rareact.NO_ACTION,)
    assert twice.candidates == (
        "a person cuts a keyboard",
        "a person washes a phone",
        "a person cuts a phone",
        "a person fries eggs",
        "a person unplugs an oven",
    )
    assert all(item.candidates is twice.candidates for item in items)


def test_nothing_is_ever_shown_as_an_example():
    assert rareact.BENCHMARK.max_shots == rareact.BENCHMARK.text_examples == 0


def test_score_is_mwap_over_the_rows(folder):
    """Against the metric on the table as it is published, with each row's scores."""
    items = rareact.read(folder, "test")
    scores = {item.key: tuple(((7 * n + 3 * c) % 11) / 11 for c in range(5)) for n, item in enumerate(items)}
    table = [Row(video, verb, noun, number, annotation) for video, _, _, number, verb, noun, annotation in ROWS]
    expected, _ = mwap(table, [scores[f"{row[0]}_{row[1]}_{row[2]}"] for row in ROWS])
    score = rareact.score(items, [Prediction(scores=scores[item.key]) for item in items])
    assert score.value == pytest.approx(100 * expected) and score.per_item == ()
    assert 0 < score.value < 100


def test_segments_without_any_positive_cannot_be_scored(folder):
    items = [item for item in rareact.read(folder, "test") if item.references == (rareact.NO_ACTION,)]
    with pytest.raises(ConfigError, match="none of the 4 segments shows its action"):
        rareact.score(items, [Prediction(scores=(0.0,) * 5) for _ in items])


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("fry,eggs,1", "fry,eggs,yes", "\"annotation\" is 'yes'"),
        (f"{MISSING},10,20", f"{MISSING},-10,20", f"video {MISSING}: -10 to 20 are no seconds"),
        (",4,unplug", ",6,unplug", "not numbered from 0"),
        ("class_id", "class", 'no column "class_id"'),
    ],
)
def test_tables_of_another_kind_are_named(folder, old, new, message):
    path = folder / "rareact.csv"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(ConfigError, match=message) as error:
        rareact.read(folder, "test")
    assert "rareact.csv" in str(error.value)
