"""The optimizer: schedule values by hand, weight decay by label, clipping over everything that trains."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from flamingo_jax.config import ConfigError
from flamingo_jax.training.freezing import FROZEN
from flamingo_jax.training.optimizer import OptimizerConfig, Policy, make_optimizer, schedule

LABELS = {
    "resampler/latents": "resampler",
    "language_model/tail/gated_cross_attention/kernel": "cross_attention",
    "language_model/new_rows": "new_tokens",
    "language_model/embedding": FROZEN,
}
CONFIG = OptimizerConfig(
    {"resampler": Policy(0.0), "cross_attention": Policy(0.1), "new_tokens": Policy(0.1, 3.0)},
    learning_rate=0.01,
    warmup_steps=1,
)


def params() -> dict:
    return {
        "resampler": {"latents": jnp.asarray([1.0, -2.0])},
        "language_model": {
            "tail": {"gated_cross_attention": {"kernel": jnp.asarray([[3.0, 4.0]])}},
            "new_rows": jnp.asarray([[0.5]]),
        },
    }


def updates(config: OptimizerConfig, gradients: list[dict], start: dict | None = None) -> list[dict]:
    """The parameters after each of these gradients."""
    optimizer = make_optimizer(config, LABELS, steps=10)
    values = params() if start is None else start
    state, seen = optimizer.init(values), []
    for gradient in gradients:
        change, state = optimizer.update(gradient, state, values)
        values = optax.apply_updates(values, change)
        seen.append(values)
    return seen


def constant(value: float) -> dict:
    return jax.tree.map(lambda leaf: jnp.full_like(leaf, value), params())


@pytest.mark.parametrize(
    ("changes", "steps", "expected"),
    [
        # A quarter of the rate more each step: the first update already moves.
        ({"warmup_steps": 4}, 9, [0.25, 0.5, 0.75, 1, 1, 1, 1, 1, 1]),
        ({"warmup_steps": 1}, 3, [1, 1, 1]),
        ({"warmup_steps": 0}, 3, [1, 1, 1]),
        # The last update has one cooldown step left: it still moves.
        ({"warmup_steps": 2, "cooldown_steps": 4}, 8, [0.5, 1, 1, 1, 1, 0.75, 0.5, 0.25, 0]),
        # From the full rate on a quarter of it every two updates, whatever the run's length.
        ({"warmup_steps": 2, "decay_steps": 2, "decay_factor": 0.25}, 3, [0.5, 1, 0.5, 0.25, 0.125, 0.0625]),
        ({"warmup_steps": 0, "decay_steps": 1}, 9, [1, 0.1, 0.01, 0.001]),
        ({"warmup_steps": 1, "decay_steps": 1}, 9, [1, 0.1, 0.01, 0.001]),
    ],
)
def test_the_schedule_by_hand(changes, steps, expected):
    rate = schedule(dataclasses.replace(CONFIG, learning_rate=2.0, **changes), steps)
    np.testing.assert_allclose([rate(step) for step in range(len(expected))], 2.0 * np.asarray(expected), rtol=1e-6)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cooldown_steps": 5, "decay_steps": 5}, "two ends of one schedule"),
        ({"decay_factor": 0.0}, "decay_factor lies between 0 and 1"),
        ({"decay_factor": 10.0}, "decay_factor lies between 0 and 1"),
        ({"decay_steps": -1}, "decay_steps must be a whole number, got -1"),
        ({"warmup_steps": 0.5}, "warmup_steps must be a whole number, got 0.5"),
    ],
)
def test_a_schedule_that_makes_no_sense_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(CONFIG, **changes)


def test_the_papers_schedule():
    rate = schedule(OptimizerConfig({}), 500_000)
    np.testing.assert_allclose([rate(0), rate(2_499), rate(4_999), rate(499_999)], [2e-8, 5e-5, 1e-4, 1e-4], atol=1e-11)


def test_decay_shrinks_by_label_and_leaves_the_resampler_bit_identical():
    (after,) = updates(CONFIG, [constant(0.0)])
    before = params()
    np.testing.assert_array_equal(after["resampler"]["latents"], before["resampler"]["latents"])
    kernel = after["language_model"]["tail"]["gated_cross_attention"]["kernel"]
    np.testing.assert_allclose(kernel, [[3.0 * (1 - 0.01 * 0.1), 4.0 * (1 - 0.01 * 0.1)]], rtol=1e-6)
    # Its rate is three times as high, and decoupled decay goes with the rate.
    np.testing.assert_allclose(after["language_model"]["new_rows"], [[0.5 * (1 - 0.03 * 0.1)]], rtol=1e-6)


def test_the_first_update_is_adams():
    """Bias-corrected, the first step of Adam is the rate times the gradient's sign, whatever its size."""
    config = dataclasses.replace(CONFIG, policies={name: Policy(0.0) for name in CONFIG.policies})
    for size in (1e-3, -1e-3):
        (after,) = updates(config, [constant(size)])
        jax.tree.map(
            lambda new, old, move=-10 * size: np.testing.assert_allclose(new - old, move, rtol=1e-3),
            after,
            params(),
        )


def test_the_rate_follows_the_schedule_and_the_labels_scale():
    """With a constant gradient every step of Adam moves by the rate: 1/4, 2/4, 3/4, 4/4 of it in the warm-up."""
    config = dataclasses.replace(CONFIG, warmup_steps=4, policies={name: Policy(0.0) for name in CONFIG.policies})
    config = dataclasses.replace(config, policies=config.policies | {"new_tokens": Policy(0.0, 3.0)})
    values = [params(), *updates(config, [constant(1e-3)] * 5)]
    latents = np.asarray([tree["resampler"]["latents"][0] for tree in values])
    np.testing.assert_allclose(np.diff(latents), -0.01 * np.asarray([0.25, 0.5, 0.75, 1, 1]), rtol=2e-3)
    rows = np.asarray([tree["language_model"]["new_rows"][0, 0] for tree in values])
    np.testing.assert_allclose(np.diff(rows), -0.03 * np.asarray([0.25, 0.5, 0.75, 1, 1]), rtol=2e-3)


def test_clipping_is_over_all_that_trains_together():
    config = dataclasses.replace(CONFIG, policies={name: Policy(0.0) for name in CONFIG.policies}, eps=1e6)
    # With a huge eps an update is -rate * gradient / eps: it shows the clipped gradient itself.
    gradient = {
        "resampler": {"latents": jnp.asarray([3.0, 0.0])},
        "language_model": {
            "tail": {"gated_cross_attention": {"kernel": jnp.asarray([[0.0, 4.0]])}},
            "new_rows": jnp.asarray([[12.0]]),
        },
    }
    for norm, factor in ((13.0, 1.0), (6.5, 0.5), (20.0, 1.0)):  # the global norm is 13
        still = jax.tree.map(jnp.zeros_like, params())
        (after,) = updates(dataclasses.replace(config, clip_norm=norm), [gradient], still)
        jax.tree.map(
            lambda new, leaf, factor=factor: np.testing.assert_allclose(
                new * -1e8, factor * leaf, rtol=1e-4, atol=1e-6
            ),
            after,
            gradient,
        )


@pytest.mark.parametrize(
    ("policies", "named"),
    [
        ({"resampler": Policy(), "cross_attention": Policy()}, "new_tokens"),
        (dict(CONFIG.policies) | {"vision": Policy()}, "vision"),
        (dict(CONFIG.policies) | {FROZEN: Policy()}, FROZEN),
    ],
    ids=["missing", "extra", "frozen"],
)
def test_policies_and_labels_must_be_the_same(policies, named):
    with pytest.raises(ConfigError, match=named):
        make_optimizer(dataclasses.replace(CONFIG, policies=policies), LABELS, steps=10)
