"""Risk-coverage curves, their areas and calibration: against enumeration and published formulae."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flamingo_jax.evaluation.selective.calibration import calibration_error, reliability
from flamingo_jax.evaluation.selective.comparison import compare
from flamingo_jax.evaluation.selective.curve import aurc, excess_aurc, risk_coverage

ANSWERS = st.lists(st.tuples(st.integers(0, 2), st.sampled_from([0.0, 0.3, 1.0])), min_size=1, max_size=6)


def arrays(answers):
    sure, losses = zip(*answers, strict=True)
    return np.array(sure, float), np.array(losses)


@settings(max_examples=50, deadline=None)
@given(ANSWERS)
def test_ties_are_the_mean_over_all_their_orders(answers):
    sure, losses = arrays(answers)
    curves = []
    for order in itertools.permutations(range(len(sure))):
        if all(sure[a] >= sure[b] for a, b in itertools.pairwise(order)):
            curves.append([losses[list(order[: count + 1])].mean() for count in range(len(order))])
    np.testing.assert_allclose(risk_coverage(sure, losses), np.mean(curves, axis=0), atol=1e-12)
    assert aurc(sure, losses) == pytest.approx(np.mean(curves))


@settings(max_examples=50, deadline=None)
@given(ANSWERS)
def test_no_order_is_better_than_the_best(answers):
    sure, losses = arrays(answers)
    areas = [
        np.mean([losses[list(order[: count + 1])].mean() for count in range(len(order))])
        for order in itertools.permutations(range(len(losses)))
    ]
    assert excess_aurc(sure, losses) == pytest.approx(aurc(sure, losses) - min(areas))


def test_the_best_area_is_near_that_of_the_paper():
    """Geifman et al. 2019, E-AURC: r + (1 - r) ln(1 - r) for a risk of r, up to terms of 1 / n."""
    losses = (np.arange(4000) < 1200).astype(float)
    assert aurc(-losses, losses) == pytest.approx(0.3 + 0.7 * math.log(0.7), abs=1e-3)


def test_an_order_that_says_nothing_has_the_mean_loss_everywhere():
    losses = np.array([0.0, 1.0, 1.0, 0.5])
    np.testing.assert_allclose(risk_coverage(np.zeros(4), losses), 0.625)


@pytest.mark.parametrize(
    ("sure", "losses"), [([], []), ([1.0], [0.0, 1.0]), ([np.nan], [0.0]), ([1.0], [np.inf])], ids=str
)
def test_what_has_no_curve_is_refused(sure, losses):
    with pytest.raises(ValueError, match="must be"):
        aurc(np.array(sure), np.array(losses))


def test_calibration_counts_by_bins():
    sure = np.array([0.05, 0.0, 0.1, 0.95, 1.0, 0.11])
    right = np.array([0.0, 0.0, 1.0, 1.0, 0.5, 1.0])
    found = reliability(sure, right)
    assert [(each.low, each.high, each.count) for each in found] == [(0.0, 0.1, 3), (0.1, 0.2, 1), (0.9, 1.0, 2)]
    assert found[0].confidence == pytest.approx(0.05) and found[0].accuracy == pytest.approx(1 / 3)
    expected = (3 * abs(1 / 3 - 0.05) + 1 * abs(1 - 0.11) + 2 * abs(0.75 - 0.975)) / 6
    assert calibration_error(sure, right) == pytest.approx(expected)


@pytest.mark.parametrize("sure", [[], [1.1], [-0.1], [np.nan]], ids=str)
def test_what_is_no_probability_is_refused(sure):
    with pytest.raises(ValueError, match="from 0 to 1"):
        reliability(np.array(sure), np.zeros(len(sure)))


def test_differences_are_of_the_same_resamples():
    """An order is never better or worse than itself; of two orders of the same answers the difference is surer than
    the intervals of both."""
    rng = np.random.default_rng(0)
    skill = rng.normal(size=300)
    losses = (rng.random(300) > 1 / (1 + np.exp(-2 * skill))).astype(float)
    near = skill + rng.normal(0, 0.5, 300)
    found = compare({"own": skill, "same": skill.copy(), "near": near}, losses)
    own, same, close = found["measures"]
    assert own["first_minus_this"] is None
    assert same["first_minus_this"] == {"value": 0, "low": 0, "high": 0}
    paired = close["first_minus_this"]
    assert paired["value"] == pytest.approx(own["aurc"]["value"] - close["aurc"]["value"])
    assert paired["high"] - paired["low"] < 0.7 * (own["aurc"]["high"] - own["aurc"]["low"])
    assert "calibration" not in found

    # The same resamples, drawn here.
    drawn = np.random.default_rng(0).integers(300, size=(1000, 300))
    differences = [aurc(skill[d], losses[d]) - aurc(near[d], losses[d]) for d in drawn]
    np.testing.assert_allclose([paired["low"], paired["high"]], np.quantile(differences, [0.025, 0.975]))
