"""Rules from the evidence of answers: what they guarantee, and the file that they are kept in."""

import dataclasses
import json
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import optimize, stats

from flamingo_jax.config import ConfigError
from flamingo_jax.evaluation.confidence.bounds import upper_bound
from flamingo_jax.evaluation.confidence.evidence import Evidence, EvidenceConfig
from flamingo_jax.evaluation.confidence.fitting import fit
from flamingo_jax.evaluation.confidence.logistic import fit_logistic, sigmoid
from flamingo_jax.evaluation.confidence.rule import AbstentionRule
from flamingo_jax.evaluation.confidence.threshold import Judged, find_threshold
from flamingo_jax.evaluation.model_digest import parameters_digest

MODEL = {"gathering": EvidenceConfig(), "step": 3, "parameters": "ab12"}


def drawn(count: int, seed: int, knows: float = 3.0) -> tuple[list[Evidence], np.ndarray]:
    """Evidence, and whether the answers are right: the more often the better it is."""
    rng = np.random.default_rng(seed)
    skill = rng.normal(size=count)
    correct = (rng.random(count) < sigmoid(knows * skill)).astype(float)
    noise = rng.normal(size=(count, 4))
    found = [
        Evidence(float(z - abs(a)), float(np.clip(z / 4 + 0.5 + b / 9, 0, 1)), float(max(0, 2 - z + c)), None, float(d))
        for z, (a, b, c, d) in zip(skill, noise, strict=True)
    ]
    return found, correct


def test_the_weights_are_those_of_the_least_loss():
    """Against a search that knows neither gradients nor bounds; the third signal points the wrong way and gets none."""
    rng = np.random.default_rng(1)
    features = rng.normal(size=(200, 3))
    correct = (rng.random(200) < sigmoid(features @ [1.0, -2.0, -0.8] + 0.3)).astype(float)
    weights, bias = fit_logistic(features, correct, np.array([1, -1, 1]))
    assert weights[2] == 0 and weights[0] > 0 > weights[1]

    def loss(parameters):
        chances = stats.logistic.cdf(features[:, :2] @ parameters[:2] + parameters[2])
        likelihood = np.log(np.where(correct == 1, chances, 1 - chances)).sum()
        return -likelihood + (parameters[:2] ** 2).sum() / 2

    best = optimize.minimize(loss, np.zeros(3), method="Nelder-Mead", options={"xatol": 1e-7, "fatol": 1e-9}).x
    np.testing.assert_allclose([*weights[:2], bias], best, atol=1e-3)


def test_a_signal_that_is_not_finite_is_refused():
    with pytest.raises(ConfigError, match="cannot be fitted"):
        fit_logistic(np.array([[np.nan], [1.0]]), np.array([0.0, 1.0]), np.array([1]))


def test_the_risk_is_held_as_often_as_promised():
    """Of many rules, each from questions of its own, at most a share of delta has a true risk above the one named."""
    fresh, correct = drawn(4000, 10_000)
    broken, used = 0, 0
    for seed in range(40):
        rule = fit(*drawn(200, seed), 0.25, 0.2, **MODEL)
        if rule.threshold is None:
            continue
        used += 1
        answered = np.array([not rule.abstains(each) for each in fresh])
        broken += bool((1 - correct)[answered].mean() > 0.25)
    assert used > 20
    assert broken <= 40 * 0.2 + 3 * np.sqrt(40 * 0.2 * 0.8)


def test_figures_are_of_the_half_that_was_not_fitted_to():
    evidence, correct = drawn(500, 0)
    rule = fit(evidence, correct, 0.3, 0.1, **MODEL)
    assert rule.dev["fitted"] == rule.dev["tested"] == 250
    assert rule.dev["coverage"] == rule.dev["answered"] / 250
    wrong = round(rule.dev["risk"] * rule.dev["answered"])
    losses = np.arange(rule.dev["answered"]) < wrong
    assert rule.dev["upper_bound"] == pytest.approx(upper_bound(losses, 0.1)) and rule.dev["upper_bound"] <= 0.3
    assert rule == fit(evidence, correct, 0.3, 0.1, **MODEL)
    assert "dispersion" not in rule.signals  # which none of the answers has


def test_more_answers_pass_at_a_higher_risk():
    coverages = [fit(*drawn(800, 4), risk, 0.1, **MODEL).dev["coverage"] for risk in (0.15, 0.25, 0.35)]
    assert coverages[0] < coverages[1] < coverages[2]


def test_where_no_threshold_holds_the_risk_nothing_is_answered():
    evidence, correct = drawn(100, 2, knows=0.0)
    rule = fit(evidence, correct, 0.01, 0.05, **MODEL)
    assert rule.threshold is None
    assert all(map(rule.abstains, evidence))


def test_thresholds_are_tested_one_after_the_other():
    """The order of tests is given by the one half, so a good stretch of the other behind a bad one is not reached."""
    sure = np.linspace(0, 1, 400)
    seen = Judged(sure, (sure < 0.5).astype(float))
    assert find_threshold(seen, seen, 0.1, 0.1) == pytest.approx(0.45, abs=0.03)
    bad_top = Judged(sure, ((sure < 0.2) | (sure > 0.5)).astype(float))
    assert find_threshold(seen, bad_top, 0.1, 0.1) is None


@pytest.mark.parametrize("correct", [np.ones(100), np.zeros(100), np.array([0.0, 1.0] * 10)])
def test_too_little_to_fit_to_is_refused(correct):
    with pytest.raises(ConfigError, match="a rule needs at least 40"):
        fit(drawn(len(correct), 0)[0], correct, 0.2, 0.1, **MODEL)


def test_a_rule_is_what_was_saved(tmp_path):
    rule = fit(*drawn(300, 5), 0.3, 0.1, **MODEL)
    rule.save(tmp_path / "abstention.json")
    loaded = AbstentionRule.load(tmp_path / "abstention.json")
    assert loaded == rule
    evidence = drawn(20, 6)[0]
    assert [*map(loaded.confidence, evidence)] == [*map(rule.confidence, evidence)]


def test_confidence_is_the_logistic_function_of_the_standardized_signals():
    rule = AbstentionRule(
        signals=("likelihood", "entropy"),
        means=(-1.0, 0.5),
        scales=(2.0, 0.25),
        weights=(1.0, -0.5),
        bias=0.1,
        threshold=0.6,
        risk=0.2,
        delta=0.1,
        ranked=False,
        gathering=EvidenceConfig(),
        step=3,
        parameters="",
    )
    evidence = Evidence(likelihood=-0.5, agreement=0.0, entropy=0.25, dispersion=None, image_gain=0.0)
    # (-0.5 + 1) / 2 x 1 + (0.25 - 0.5) / 0.25 x -0.5 + 0.1 = 0.85
    assert rule.confidence(evidence) == pytest.approx(1 / (1 + np.exp(-0.85)))
    assert not rule.abstains(evidence)
    assert rule.abstains(dataclasses.replace(evidence, entropy=0.75))


def test_a_rule_that_needs_examples_says_so():
    rule = AbstentionRule(("dispersion",), (0.0,), (1.0,), (-1.0,), 0.0, 0.5, 0.2, 0.1, False, EvidenceConfig(), 3, "")
    with pytest.raises(ValueError, match="the rule needs dispersion"):
        rule.confidence(Evidence(-1.0, 0.5, 0.5, None, 0.1))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda content: content | {"format": 2}, "format 2"),
        (lambda content: content | {"weights": [1.0]}, "for each signal"),
        (lambda content: content | {"signals": ["mood"] * 4}, "mood"),
        (lambda content: content | {"risk": 2}, "risk is above 0"),
        (lambda content: {}, "format"),
        (lambda content: [1], "fit it anew"),
    ],
)
def test_a_damaged_rule_is_named(tmp_path, damage, message):
    path = tmp_path / "abstention.json"
    fit(*drawn(100, 5), 0.3, 0.1, **MODEL).save(path)
    path.write_text(json.dumps(damage(json.loads(path.read_text()))))
    with pytest.raises(ConfigError, match=message) as error:
        AbstentionRule.load(path)
    assert str(path) in str(error.value)


def test_a_missing_rule_is_asked_for(tmp_path):
    with pytest.raises(ConfigError, match=r"flamingo_jax\.abstain"):
        AbstentionRule.load(tmp_path / "abstention.json")


def test_a_rule_is_for_its_model_alone():
    params = {"layer": np.arange(4.0)}
    rule = dataclasses.replace(fit(*drawn(100, 5), 0.3, 0.1, **MODEL), parameters=parameters_digest(params))
    rule.check_model(SimpleNamespace(step=3, params=params))
    for other in (SimpleNamespace(step=4, params=params), SimpleNamespace(step=3, params={"layer": np.ones(4)})):
        with pytest.raises(ConfigError, match="fitted to the checkpoint of step 3"):
            rule.check_model(other)
