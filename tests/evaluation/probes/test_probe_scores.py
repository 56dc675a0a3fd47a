"""The scores of the probes beside brute force and scikit-learn's formulas, and their intervals."""

import dataclasses
import json
import math

import numpy as np
import pytest
from etils import epath

from flamingo_jax.evaluation.benchmarks.benchmark import Prediction
from flamingo_jax.evaluation.benchmarks.catalog import BENCHMARKS, find
from flamingo_jax.evaluation.confidence.rule import ABSTENTION
from flamingo_jax.evaluation.probes.figures import write_figures
from flamingo_jax.evaluation.probes.text import table

NAMES = [name for name, benchmark in BENCHMARKS.items() if benchmark.probe]


def items_of(name):
    return find(name).read(epath.Path("drawn"), "test")


def naming(items, choose):
    """Predictions by which `choose(item)` is the likeliest candidate."""
    return [
        Prediction(scores=tuple(-1.0 if candidate == choose(item) else -2.0 for candidate in item.candidates))
        for item in items
    ]


def random_predictions(items, seed=0):
    rng = np.random.default_rng(seed)
    return [Prediction(scores=tuple(rng.normal(size=len(item.candidates)))) for item in items]


def likeliest(item, prediction):
    return max(zip(prediction.scores, item.candidates, strict=True))[1]


def mean(values):
    return 100 * sum(values) / len(values)


def test_the_catalog_has_the_four():
    assert NAMES == ["stroop", "absent_objects", "misleading", "ungrounded"]


@pytest.mark.parametrize("name", NAMES)
def test_the_truth_scores_100(name):
    items = items_of(name)
    score = find(name).score(items, naming(items, lambda item: item.answer))
    assert score.value == 100
    counted = [value for value in score.per_item if value is not None]
    assert set(counted) == {100.0} and len(score.per_item) == len(items)


@pytest.mark.parametrize("name", NAMES)
def test_the_value_is_the_mean_of_the_items(name):
    items = items_of(name)
    score = find(name).score(items, random_predictions(items))
    assert score.value == pytest.approx(np.mean([value for value in score.per_item if value is not None]))


def test_stroop():
    items = items_of("stroop")
    reads = find("stroop").score(items, naming(items, lambda item: item.details["word"]))
    assert reads.parts == {
        "ink, congruent": 100,
        "ink, incongruent": 0,
        "word, congruent": 100,
        "word, incongruent": 100,
        "names the word for the ink": 100,
    }
    predictions = random_predictions(items)
    found = find("stroop").score(items, predictions)
    said = [likeliest(*each) for each in zip(items, predictions, strict=True)]
    asked = [place for place, item in enumerate(items) if item.details["kind"] == "ink, incongruent"]
    assert found.parts["ink, incongruent"] == pytest.approx(
        mean([said[place] == items[place].answer for place in asked])
    )
    lured = mean([said[place] == items[place].details["word"] for place in asked])
    assert found.parts["names the word for the ink"] == pytest.approx(lured)


def test_absent_objects_by_the_formulas():
    items = items_of("absent_objects")
    predictions = random_predictions(items)
    yes = np.array([likeliest(*each) == "yes" for each in zip(items, predictions, strict=True)])
    true = np.array([item.answer == "yes" for item in items])
    found = find("absent_objects").score(items, predictions)
    precision, recall = (yes & true).sum() / yes.sum(), (yes & true).sum() / true.sum()
    assert found.value == pytest.approx(100 * (yes == true).mean())
    assert found.parts["precision"] == pytest.approx(100 * precision)
    assert found.parts["recall"] == pytest.approx(100 * recall)
    assert found.parts["F1"] == pytest.approx(200 * precision * recall / (precision + recall))
    assert found.parts["says yes"] == pytest.approx(100 * yes.mean())
    popular = np.array([item.details["kind"] == "popular" for item in items])
    assert found.parts["popular, accuracy"] == pytest.approx(100 * (yes == true)[popular].mean())


def test_who_never_says_yes_has_no_precision():
    items = items_of("absent_objects")
    found = find("absent_objects").score(items, naming(items, lambda item: "no"))
    assert found.value == 50 and math.isnan(found.parts["precision"]) and found.parts["F1"] == 0


def test_who_follows_hints():
    items = items_of("misleading")

    def follower(item):
        return item.details["hint"] if item.details["kind"] == "leading" else item.answer

    found = find("misleading").score(items, naming(items, follower))
    assert found.value == 50
    assert found.parts == {
        "plain": 100,
        "presupposed": 100,
        "leading": 0,
        "presupposed minus plain": 0,
        "leading minus plain": -100,
        "follows the hint": 100,
        "says so unhinted": 0,
    }


def test_differences_are_of_the_same_pictures():
    items = items_of("misleading")
    kept = [place for place in range(len(items)) if place % 7 and place % 5]
    items, predictions = [items[place] for place in kept], [random_predictions(items)[place] for place in kept]
    right = {
        (item.medium.path, item.details["kind"]): likeliest(item, prediction) == item.answer
        for item, prediction in zip(items, predictions, strict=True)
    }
    pairs = [
        int(true) - int(right[path, "plain"])
        for (path, kind), true in right.items()
        if kind == "leading" and (path, "plain") in right
    ]
    assert 0 < len(pairs) < sum(kind == "leading" for _, kind in right)
    found = find("misleading").score(items, predictions)
    assert found.parts["leading minus plain"] == pytest.approx(mean(pairs))


def test_who_declines_everything_declines_what_is_answerable_too():
    items = items_of("ungrounded")
    found = find("ungrounded").score(items, naming(items, lambda item: ABSTENTION))
    assert found.value == 100
    assert found.parts["declines the answerable"] == 100 and found.parts["right on the answerable"] == 0
    assert found.parts["evenness of guesses"] == pytest.approx(100)  # all guesses are equally likely
    assert found.parts["commonest guess"] == 100


def test_the_spread_of_guesses_by_brute_force():
    items = items_of("ungrounded")
    predictions = random_predictions(items)
    found = find("ungrounded").score(items, predictions)
    entropies, guesses = [], {}
    for item, prediction in zip(items, predictions, strict=True):
        if item.answer == ABSTENTION:
            weights = np.exp(prediction.scores[:-1]) / np.exp(prediction.scores[:-1]).sum()
            entropies.append(-(weights * np.log(weights)).sum() / np.log(len(weights)))
            guesses.setdefault(item.details["asked"], []).append(int(np.argmax(weights)))
    assert found.parts["evenness of guesses"] == pytest.approx(100 * np.mean(entropies))
    often = [max(map(places.count, places)) for places in guesses.values()]
    assert found.parts["commonest guess"] == pytest.approx(100 * sum(often) / 120)


@pytest.fixture
def written(tmp_path):
    """Rows of a model that sees and one that guesses, and the summary that names them."""
    items = items_of("misleading")
    sure = naming(items, lambda item: item.answer)
    folder = epath.Path(tmp_path)
    (folder / "rows").mkdir()

    def write(way, predictions):
        lines = [json.dumps(dataclasses.asdict(each)) + "\n" for each in predictions]
        (folder / "rows" / f"{way}-0-0.jsonl").write_text("".join(lines))

    write("random", sure)
    write("blind", random_predictions(items))
    result = {"shots": 0, "selection": "random", "seeds": [{"seed": 0}]}
    return items, {"results": [result], "baselines": [{"name": "blind", **result}]}, folder


def test_figures_have_intervals_and_the_blind_model_beside(written):
    items, summary, folder = written
    benchmark = find("misleading")
    (found,) = write_figures(benchmark, items, summary, folder)
    assert json.loads((folder / "probe.json").read_text()) == [found]
    by_name = {each["name"]: each for each in found["figures"]}
    score = benchmark.score(items, random_predictions(items))
    assert list(by_name) == [benchmark.metric, *score.parts]
    main = by_name[benchmark.metric]
    assert main["seeing"] == {"value": 100, "low": 100, "high": 100}
    assert main["blind"]["value"] == pytest.approx(score.value)
    assert main["blind"]["low"] < score.value < main["blind"]["high"]
    assert main["difference"]["value"] == pytest.approx(100 - score.value)
    assert main["difference"]["low"] == pytest.approx(100 - main["blind"]["high"])
    # The mean of 90 independent pictures' shares: the interval is as wide as the normal approximation says.
    shares = [np.mean([v for v in score.per_item[start : start + 3] if v is not None]) for start in range(0, 270, 3)]
    width = 2 * 1.96 * np.std(shares) / np.sqrt(90)
    assert main["blind"]["high"] - main["blind"]["low"] == pytest.approx(width, rel=0.2)


def test_the_table_says_each_figure_with_its_interval(written):
    items, summary, folder = written
    found = write_figures(find("misleading"), items, summary, folder)
    head, first, *_ = table("Misleading questions", found).splitlines()
    assert head.split("  ")[0] == "Misleading questions, 0 shots" and "blind (95%)" in head
    assert first.startswith("accuracy when misled") and "100.0 (100.0 to 100.0)" in first
    alone = write_figures(find("misleading"), items, summary | {"baselines": []}, folder)
    assert {each["blind"] for each in alone[0]["figures"]} == {None}
    assert table("Misleading questions", alone).splitlines()[1].endswith("-")
