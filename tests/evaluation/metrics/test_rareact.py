"""mWAP of RareAct."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flamingo_jax.evaluation.metrics.rareact import Row, average_precision, groups, mwap
from tests.evaluation.metrics.goldens import golden

INPUTS, OUTPUTS = golden("rareact")
_NAMES = ("video_id", "verb", "noun", "class_id", "annotation")
ROWS = [Row(*(row[INPUTS["columns"].index(name)] for name in _NAMES)) for row in INPUTS["rows"]]


@pytest.mark.parametrize("name", OUTPUTS["scores"])
def test_mwap_is_that_of_the_official_evaluation(name):
    official = OUTPUTS["scores"][name]
    mean, per_class = mwap(ROWS, np.array(INPUTS["scores"][name]))
    assert mean == pytest.approx(official["mWAP"], abs=1e-9)
    assert {str(key): value for key, value in per_class.items()} == pytest.approx(official["WAP_per_class"], abs=1e-9)


def test_groups_are_of_the_official_sizes():
    found = {
        str(key): [len(group.positives), len(group.hard_negatives), len(group.negatives)]
        for key, group in groups(ROWS).items()
    }
    assert found == OUTPUTS["group_sizes"]


items = st.lists(st.tuples(st.booleans(), st.integers(0, 3), st.sampled_from([0.5, 1.0, 2.0])), min_size=1, max_size=12)


@given(items.filter(lambda drawn: any(positive for positive, *_ in drawn)))
def test_average_precision_by_thresholds(drawn):
    positive, scores, weights = (np.array(column) for column in zip(*drawn, strict=True))
    expected, reached = 0.0, 0.0
    for threshold in sorted(set(scores.tolist()), reverse=True):
        kept = scores >= threshold
        recall = weights[kept & positive].sum() / weights[positive].sum()
        expected += (recall - reached) * weights[kept & positive].sum() / weights[kept].sum()
        reached = recall
    assert average_precision(positive, scores, weights) == pytest.approx(expected)


def test_weighted_mean_by_hand():
    # One class; video a has two positive rows, which count one half each.
    rows = [Row(video, "cut", "phone", 0, annotation) for video, annotation in (("a", 1), ("a", 1), ("b", 1), ("c", 0))]
    mean, per_class = mwap(rows, np.array([[4.0], [1.0], [2.0], [3.0]]))
    # precision 1 at recall 1/4, then 1.5/2.5 at 3/4 and 2/3 at 1
    assert mean == pytest.approx(1 / 4 + 1 / 2 * 1.5 / 2.5 + 1 / 4 * 2 / 3)
    assert per_class == {0: pytest.approx(mean)}


@given(st.lists(st.tuples(st.sampled_from("xyz"), st.integers(0, 3), st.integers(0, 4)), min_size=1, max_size=12))
def test_groups_by_brute_force(drawn):
    actions = [("cut", "cake"), ("cut", "phone"), ("hammer", "cake"), ("hammer", "shoe")]
    rows = [Row(video, *actions[kind], kind, annotation) for video, kind, annotation in drawn]
    for class_id, found in groups(rows).items():
        verb, noun = actions[class_id]
        expected = {"positives": [], "hard_negatives": [], "negatives": []}
        for index, row in enumerate(rows):
            shared = (row.verb == verb) + (row.noun == noun)
            if row.class_id == class_id:
                kind = {0: "negatives", 1: "positives"}.get(row.annotation, "hard_negatives")
            elif row.annotation == 1:
                kind = "hard_negatives" if shared else "negatives"
            else:
                continue
            expected[kind].append(index)
        assert dataclasses.asdict(found) == expected


ROW = Row("a", "cut", "phone", 0, 1)


@pytest.mark.parametrize(
    ("rows", "scores", "message"),
    [
        ([ROW], np.zeros((2, 1)), "1 rows"),
        ([ROW], np.zeros((1, 0)), "scores for 0 classes"),
        ([ROW], np.full((1, 1), np.nan), "NaN"),
        ([dataclasses.replace(ROW, annotation=0)], np.zeros((1, 1)), "no row"),
        ([dataclasses.replace(ROW, annotation=7)], np.zeros((1, 1)), "annotation 7"),
        ([ROW, dataclasses.replace(ROW, class_id=1)], np.zeros((2, 2)), "another one"),
        ([ROW, dataclasses.replace(ROW, verb="eat")], np.zeros((2, 2)), "same class id"),
    ],
)
def test_what_does_not_fit_is_an_error(rows, scores, message):
    with pytest.raises(ValueError, match=message):
        mwap(rows, scores)
