"""Verdicts on updates: what spikes, what is not finite, and what the running figures are, against plain arithmetic."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from flamingo_jax.training.freezing import label, split
from flamingo_jax.training.health import FLAGS, SKIPPED, Health, HealthConfig, healthy, judge, judge_gates
from flamingo_jax.training.measures import norms
from flamingo_jax.training.state import TrainState
from flamingo_jax.training.step import LossConfig, make_step

CONFIG = HealthConfig(spike="skip", spike_after=5, spike_window=10, spike_deviations=4.0, spike_floor=0.01)


def run(config: HealthConfig, losses: list[float], health: Health | None = None, **more) -> tuple[list, Health]:
    """What is said of each loss of dataset "a", one after the other: (applied, flags)."""
    judged = jax.jit(lambda health, metrics: judge(config, health, metrics))
    health, verdicts = health or healthy(["a", "b"]), []
    for loss in losses:
        applied, flags, health = judged(health, {"loss": loss, "grad_norm": 1.0, "loss/a": loss} | more)
        verdicts.append((bool(applied), int(flags)))
    return verdicts, health


def test_ordinary_losses_raise_no_flag_and_are_averaged():
    losses = np.random.default_rng(0).normal(3, 0.1, 60).tolist()
    verdicts, health = run(CONFIG, losses)
    assert verdicts == [(True, 0)] * 60
    assert int(health.count["a"]) == 60 and int(health.count["b"]) == 0
    mean = 0.0
    for number, loss in enumerate(losses):
        mean += max(1 / 10, 1 / (number + 1)) * (loss - mean)
    assert float(health.mean["a"]) == pytest.approx(mean, rel=1e-5)
    assert float(np.sqrt(health.variance["a"])) == pytest.approx(0.1, rel=0.5)


def test_the_first_figures_are_the_plain_mean_and_variance():
    losses = [2.0, 4.0, 9.0]
    _, health = run(dataclasses.replace(CONFIG, spike_window=100, spike_after=100), losses)
    assert float(health.mean["a"]) == pytest.approx(np.mean(losses))
    assert float(health.variance["a"]) == pytest.approx(np.var(losses), rel=1e-5)


@pytest.mark.parametrize("action", ["skip", "roll_back", "stop"])
def test_a_spike_is_seen_and_leaves_the_figures_alone(action):
    config = dataclasses.replace(CONFIG, spike=action)
    _, before = run(config, [3.0, 3.1] * 10)
    verdicts, after = run(config, [9.0], before)
    assert verdicts == [(False, FLAGS["spike"] + SKIPPED)]
    assert after.mean == before.mean and after.count == before.count
    assert int(after.skipped) == 1
    assert run(config, [3.05], after)[0] == [(True, 0)]


def test_who_only_logs_spikes_gets_used_to_them():
    config = dataclasses.replace(CONFIG, spike="log")
    _, before = run(config, [3.0, 3.1] * 10)
    verdicts, after = run(config, [9.0] * 40, before)
    assert verdicts[0] == (True, FLAGS["spike"]) and verdicts[-1] == (True, 0)
    assert float(after.mean["a"]) > 8 and int(after.skipped) == 0


def test_a_spike_of_one_dataset_leaves_the_others_figures_open():
    _, before = run(CONFIG, [3.0, 3.1] * 10)
    more = {"loss/b": 5.0}
    (verdict,), after = run(CONFIG, [9.0], before, **more)
    assert verdict == (False, FLAGS["spike"] + SKIPPED)
    assert int(after.count["b"]) == 1 and int(after.count["a"]) == 20


def test_nothing_is_a_spike_before_there_is_anything_to_compare_with():
    assert run(CONFIG, [3.0, 50.0, 3.0, 200.0])[0] == [(True, 0)] * 4


def test_a_dataset_without_targets_tells_nothing():
    _, health = run(CONFIG, [3.0, 0.0, 3.0])
    assert int(health.count["a"]) == 2 and float(health.mean["a"]) == 3.0


@pytest.mark.parametrize("bad", [{"loss": np.nan}, {"loss": -np.inf}, {"grad_norm": np.nan}, {"grad_norm": np.inf}])
@pytest.mark.parametrize("action", ["skip", "roll_back", "stop"])
def test_what_is_not_finite_is_never_applied(bad, action):
    config = dataclasses.replace(CONFIG, nonfinite=action)
    _, before = run(config, [3.0] * 8)
    verdicts, after = run(config, [3.0], before, **bad)
    assert verdicts == [(False, FLAGS["nonfinite"] + SKIPPED)]
    assert after.mean == before.mean and int(after.count["a"]) == 8 and int(after.skipped) == 1


def test_a_gate_that_has_run_away_is_flagged():
    gates = {"gate/attention/0": jnp.float32(0.3), "gate/dense/0": jnp.float32(-0.999)}
    assert int(judge_gates(CONFIG, gates)) == FLAGS["gates"]
    assert int(judge_gates(CONFIG, gates | {"gate/dense/0": jnp.float32(-0.9)})) == 0
    assert int(judge_gates(CONFIG, {})) == 0


class Linear:
    """Loss of each token = its number times the weight."""

    def apply(self, variables, tokens, loss_chunk=0, **_):
        return tokens * variables["params"]["resampler"]["weight"]


def batch(value: float) -> dict:
    row = np.full((1, 4), value, np.float32)
    ones = np.ones((1, 4), np.int32)
    return {"a": {"tokens": row, "segment_ids": ones, "loss_mask": ones.astype(bool)}}


def test_the_step_applies_good_updates_and_keeps_all_it_had_at_bad_ones():
    trainable, frozen = split({"resampler": {"weight": jnp.float32(2.0)}}, label(["resampler/weight"], [(".*", "all")]))
    optimizer = optax.adam(0.1)
    rate = lambda count: 1.0 + count  # noqa: E731
    step = jax.jit(make_step(Linear(), optimizer, rate, LossConfig({"a": 1.0}, "token"), health=CONFIG))
    state = TrainState(jnp.asarray(0), trainable, optimizer.init(trainable), healthy(["a"]))
    state, metrics = step(state, frozen, batch(1.0))
    assert float(state.params["resampler"]["weight"]) == pytest.approx(1.9, rel=1e-4)
    assert (int(metrics["health"]), float(metrics["learning_rate"])) == (0, 1.0)
    for _ in range(2):
        bad, metrics = step(state, frozen, batch(np.inf))
        assert int(bad.step) == int(state.step) + 1 and int(bad.health.skipped) == int(state.health.skipped) + 1
        assert jax.tree.all(jax.tree.map(np.array_equal, (bad.params, bad.opt_state), (state.params, state.opt_state)))
        assert int(metrics["health"]) == FLAGS["nonfinite"] + SKIPPED
        state = bad
    state, metrics = step(state, frozen, batch(1.0))
    assert (int(state.step), int(metrics["skipped_updates"])) == (4, 2)
    assert float(metrics["learning_rate"]) == 2.0  # of the second update that is applied
    assert float(state.params["resampler"]["weight"]) == pytest.approx(1.8, rel=1e-4)


def test_norms_are_of_the_leaves_of_a_label():
    tree = {"a": {"x": jnp.array([3.0, 4.0]), "y": jnp.array(12.0)}, "b": jnp.array([[2.0]]), "c": jnp.array(7.0)}
    labels = {"a/x": "one", "a/y": "one", "b": "two"}
    found = {name: float(norm) for name, norm in norms("grad_norm", tree, labels).items()}
    assert found == {"grad_norm/one": pytest.approx(13.0), "grad_norm/two": pytest.approx(2.0)}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("nonfinite", "log"), ("spike", "ignore"), ("gates", "skip"), ("spike_window", 0), ("gate_limit", -1.0),
        ("straggler", "skip"), ("max_skips", 2.5),
    ],
)  # fmt: skip
def test_settings_that_mean_nothing_are_refused(field, value):
    with pytest.raises(ValueError, match=f"HealthConfig.{field}"):
        HealthConfig(**{field: value})
