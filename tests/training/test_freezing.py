"""Which parameters train: the rules against a brute-force reading of them, and the paper's on a whole model."""

import re

import numpy as np
import pytest
from flax import traverse_util
from hypothesis import given
from hypothesis import strategies as st

from flamingo_jax.models.flamingo import Flamingo
from flamingo_jax.training.freezing import FROZEN, PAPER_RULES, FreezingError, label, merge, split, summary
from flamingo_jax.training.state import abstract_params, flat_shapes
from tests import tiny

PATHS = ("resampler/latents", "resampler/layers/kernel", "language_model/head/kernel", "language_model/new_rows")


def test_the_first_match_wins():
    rules = ((r"resampler/lat.*", "latents"), (r"resampler/.*", "rest"), (r".*", FROZEN))
    assert list(label(PATHS, rules).values()) == ["latents", "rest", FROZEN, FROZEN]
    # Turned round, the narrower pattern never decides, though it does match something.
    assert list(label(PATHS, (rules[1], rules[0], rules[2])).values()) == ["rest", "rest", FROZEN, FROZEN]


def test_a_pattern_matches_whole_paths_only():
    with pytest.raises(FreezingError, match="'resampler'"):
        label(PATHS, (("resampler", "a"), (".*", FROZEN)))
    with pytest.raises(FreezingError, match="'kernel'"):
        label(PATHS, (("kernel", "a"), (".*", FROZEN)))


def test_an_idle_pattern_is_named_with_examples_of_paths():
    with pytest.raises(FreezingError, match=r"'resampler/weights'.*resampler/latents") as raised:
        label(PATHS, (("resampler/weights", "a"), ("resampler/.*", "a"), ("also/idle", "a"), (".*", FROZEN)))
    assert "'also/idle'" in str(raised.value)
    assert "'resampler/.*'" not in str(raised.value)


def test_an_unlabelled_parameter_is_named():
    with pytest.raises(FreezingError, match=r"2 parameters match no .*'language_model/head/kernel'"):
        label(PATHS, (("resampler/.*", "a"),))


def test_a_broken_pattern_is_named():
    with pytest.raises(FreezingError, match=r"'resampler/\(\.\*' is not a regular expression"):
        label(PATHS, (("resampler/(.*", "a"), (".*", FROZEN)))


NAMES = st.sampled_from(["a", "b", "ab", "kernel", "layers"])
TREES = st.sets(st.lists(NAMES, min_size=1, max_size=4).map("/".join), min_size=1, max_size=8)
RULES = st.lists(
    st.tuples(
        st.sampled_from(["a/.*", ".*/kernel", "b.*", "[ab]", "(a|b)/(a|b)", ".*", ".*a.*", "a", "layers/.+"]),
        st.sampled_from([FROZEN, "one", "two"]),
    ),
    max_size=5,
)


@given(TREES, RULES)
def test_labels_against_a_brute_force_reading(paths, rules):
    matches = {path: [name for pattern, name in rules if re.match(f"^(?:{pattern})$", path)] for path in paths}
    every_rule_matches = all(any(re.match(f"^(?:{pattern})$", path) for path in paths) for pattern, _ in rules)
    if every_rule_matches and all(matches.values()):
        assert label(paths, rules) == {path: names[0] for path, names in matches.items()}
    else:
        with pytest.raises(FreezingError):
            label(paths, rules)


@given(st.dictionaries(st.tuples(NAMES, NAMES), st.tuples(st.integers(), st.sampled_from([FROZEN, "one", "two"]))))
def test_merge_is_the_inverse_of_split(leaves):
    params = traverse_util.unflatten_dict({path: value for path, (value, _) in leaves.items()})
    labels = {"/".join(path): name for path, (_, name) in leaves.items()}
    trainable, frozen = split(params, labels)
    assert merge(trainable, frozen) == params
    assert all(labels[path] != FROZEN for path in traverse_util.flatten_dict(trainable, sep="/"))
    assert all(labels[path] == FROZEN for path in traverse_util.flatten_dict(frozen, sep="/"))


@pytest.mark.parametrize("changes", [{}, {"cross_attention_every": 1}, {"cross_attention_first": 1}])
def test_the_papers_rules_train_what_the_paper_trains(changes):
    labels = label(flat_shapes(abstract_params(Flamingo(tiny.config(**changes)))), PAPER_RULES)
    for path, name in labels.items():
        parts = path.split("/")
        if parts[0] == "resampler":
            expected = "resampler"
        elif "gated_cross_attention" in parts or parts[0] == "visual_projection":
            expected = "cross_attention"
        elif parts[-1] == "new_rows":
            expected = "new_tokens"
        else:
            expected = FROZEN
        assert name == expected, path
    assert set(labels.values()) == {"resampler", "cross_attention", "new_tokens", FROZEN}
    frozen = {path.split("/")[0] for path, name in labels.items() if name == FROZEN}
    assert frozen == {"vision_encoder", "language_model"}


def test_the_summary_counts_parameters():
    shapes = {"resampler/a": np.zeros((2, 3)), "resampler/b": np.zeros(4), "lm/x/gated_cross_attention/w": np.zeros(5)}
    shapes |= {"lm/head": np.zeros(1_000)}
    labels = dict(zip(shapes, ("train", "train", "blocks", FROZEN), strict=True))
    lines = [line.split() for line in summary(shapes, labels).splitlines()]
    assert lines == [
        ["lm", FROZEN, "1,000"],
        ["lm/gated_cross_attention", "blocks", "5"],
        ["resampler", "train", "10"],
        ["total", "trainable", "15"],
        ["total", "frozen", "1,000"],
    ]


def test_a_pattern_for_a_part_that_need_not_be_there():
    rules = [("?c/.*", "optional"), (".*", "rest")]
    assert label(["a/b"], rules) == {"a/b": "rest"}
    assert label(["a/b", "c/d"], rules) == {"a/b": "rest", "c/d": "optional"}
    with pytest.raises(FreezingError, match="match no parameter: 'c/"):
        label(["a/b"], [("c/.*", "needed"), (".*", "rest")])
