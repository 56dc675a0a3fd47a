"""A run's own watch over its updates: what counts as bad, judged on the devices, and what is done about it.

Each step judges its loss and gradient against what came before, with statistics that are part of the state. So a
checkpoint holds them, a resumed run judges as the undisturbed one would, and all processes come to the same verdict
without a word between them. The host reads the verdict a step late and acts (`training.guard`).
"""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

LOG, SKIP, ROLL_BACK, STOP = "log", "skip", "roll_back", "stop"
NONFINITE, SPIKE, GATES = "nonfinite", "spike", "gates"
FLAGS = {NONFINITE: 1, SPIKE: 2, GATES: 4}
"""Verdict -> its bit in the metric "health"."""
SKIPPED = 8
"""Bit of the metric "health": the update was not applied."""

_ACTIONS = {
    "nonfinite": (SKIP, ROLL_BACK, STOP),
    "spike": (LOG, SKIP, ROLL_BACK, STOP),
    "gates": (LOG, ROLL_BACK, STOP),
    "starving": (LOG, STOP),
    "straggler": (LOG, STOP),
}


@dataclasses.dataclass(frozen=True)
class HealthConfig:
    """What is done when an update goes wrong, and when it counts as wrong.

    An action is "log" (say so, go on), "skip" (the update is not applied), "roll_back" (go back to an earlier
    checkpoint, and on with data that come after the bad ones) or "stop" (end the run, save nothing).

    Attributes:
      nonfinite: on a loss or gradient that is NaN or infinite. Such an update is never applied, whatever the action.
      spike: on a dataset's loss that lies `spike_deviations` above its running mean.
      gates: on a gate that has run away, |tanh| above `gate_limit`: from there it hardly moves any more.
      starving: on steps that wait for data, see `starving_share`.
      straggler: on a host that keeps the others waiting, see `straggler_factor`.
      spike_deviations: in running standard deviations, of at least `spike_floor` each.
      spike_floor: nats; below it a deviation is noise.
      spike_window: updates after which one counts 1/e in the running figures.
      spike_after: updates of a dataset before its loss is judged.
      gate_limit: of |tanh(gate)|.
      roll_back_by: how many checkpoints back; 1 is the newest.
      max_roll_backs: of a run; then it stops.
      max_skips: in a row; then it stops.
      starving_share: of the time of the last `host_window` steps that were spent waiting for data while the devices had
        nothing to do.
      straggler_factor: how many times longer than the median host one must keep the devices waiting...
      straggler_share: ...and for which share of a step at least, on average over `host_window` steps.
      host_window: steps.
    """

    nonfinite: str = STOP
    spike: str = LOG
    gates: str = LOG
    starving: str = LOG
    straggler: str = LOG
    spike_deviations: float = 8.0
    spike_floor: float = 0.05
    spike_window: int = 200
    spike_after: int = 100
    gate_limit: float = 0.995
    roll_back_by: int = 1
    max_roll_backs: int = 5
    max_skips: int = 10
    starving_share: float = 0.2
    straggler_factor: float = 3.0
    straggler_share: float = 0.1
    host_window: int = 50

    def __post_init__(self):
        for name, allowed in _ACTIONS.items():
            if getattr(self, name) not in allowed:
                known = ", ".join(map(repr, allowed))
                raise ValueError(f"HealthConfig.{name} is one of {known}, got {getattr(self, name)!r}")
        for name in ("spike_window", "spike_after", "roll_back_by", "max_skips", "host_window"):
            if not isinstance(getattr(self, name), int) or getattr(self, name) < 1:
                raise ValueError(f"HealthConfig.{name} must be a positive integer, got {getattr(self, name)!r}")
        for name in ("spike_deviations", "spike_floor", "gate_limit", "starving_share", "straggler_factor"):
            if not getattr(self, name) > 0:
                raise ValueError(f"HealthConfig.{name} must be above 0, got {getattr(self, name)!r}")


DEFAULT = HealthConfig()


class Health(NamedTuple):
    """Running figures of a run's losses, by dataset, and how many updates were not applied."""

    mean: dict[str, Float[Array, ""]]
    variance: dict[str, Float[Array, ""]]
    count: dict[str, Int[Array, ""]]
    skipped: Int[Array, ""]


def healthy(datasets: Iterable[str]) -> Health:
    """The figures of a run that has seen nothing yet."""
    names = list(datasets)

    def zeros(dtype: Any) -> dict[str, np.ndarray]:
        return {name: np.zeros((), dtype) for name in names}

    return Health(zeros(np.float32), zeros(np.float32), zeros(np.int32), np.zeros((), np.int32))


def for_datasets(health: Health, like: Health) -> Health:
    """The figures of the datasets of `like`: those that there are, and for new ones those of a run that saw nothing.

    Args:
      like: shapes with shardings, on which new figures are placed.
    """

    def kept(found: dict[str, Array], wanted: dict[str, Any]) -> dict[str, Array]:
        return {
            name: found[name] if name in found else jax.device_put(np.zeros((), leaf.dtype), leaf.sharding)
            for name, leaf in wanted.items()
        }

    return Health(
        kept(health.mean, like.mean),
        kept(health.variance, like.variance),
        kept(health.count, like.count),
        health.skipped,
    )


def judge(
    config: HealthConfig, health: Health, metrics: Mapping[str, Array]
) -> tuple[Bool[Array, ""], Int[Array, ""], Health]:
    """Judges an update by its metrics.

    Args:
      health: the figures of the updates before.
      metrics: "loss", "grad_norm", and "loss/<dataset>" of the datasets of this step.

    Returns:
      Whether the update may be applied; the flags that it raised, for the metric "health"; and the new figures. The
      losses of an update that is not applied do not go into them; a spike that is only logged does, so that a run that
      has changed for good is not at odds with its past for ever.
    """
    losses = {name: metrics[f"loss/{name}"] for name in health.mean if f"loss/{name}" in metrics}
    finite = jnp.isfinite(metrics["loss"]) & jnp.isfinite(metrics["grad_norm"])
    spikes = {name: finite & _spikes(config, health, name, loss) for name, loss in losses.items()}
    spike = jnp.any(jnp.stack(list(spikes.values()))) if spikes else jnp.zeros((), bool)
    applied = finite & ~spike if config.spike != LOG else finite
    flags = (FLAGS[NONFINITE] * ~finite + FLAGS[SPIKE] * spike + SKIPPED * ~applied).astype(jnp.int32)
    keep = 1 - 1 / config.spike_window
    mean, variance, count = dict(health.mean), dict(health.variance), dict(health.count)
    for name, loss in losses.items():
        # A batch without a target has loss 0, which tells nothing.
        counts = finite & (loss > 0)
        if config.spike != LOG:
            counts &= ~spikes[name]
        # The first ones are a plain mean; later ones weigh 1 / window.
        rate = jnp.maximum(1 - keep, 1 / (count[name] + 1.0))
        away = jnp.where(counts, loss - mean[name], 0.0)
        mean[name] = mean[name] + rate * away
        variance[name] = jnp.where(counts, (1 - rate) * (variance[name] + rate * away**2), variance[name])
        count[name] = count[name] + counts
    return applied, flags, Health(mean, variance, count, health.skipped + ~applied)


def _spikes(config: HealthConfig, health: Health, name: str, loss: Float[Array, ""]) -> Bool[Array, ""]:
    deviation = jnp.maximum(jnp.sqrt(health.variance[name]), config.spike_floor)
    return (health.count[name] >= config.spike_after) & (loss > health.mean[name] + config.spike_deviations * deviation)


def judge_gates(config: HealthConfig, gates: Mapping[str, Array]) -> Int[Array, ""]:
    """The flag of gates that have run away, of their values after the update."""
    if not gates:
        return jnp.zeros((), jnp.int32)
    farthest = jnp.max(jnp.abs(jnp.stack(list(gates.values()))))
    return (FLAGS[GATES] * (farthest > config.gate_limit)).astype(jnp.int32)


def applied_or_kept(applied: Bool[Array, ""], new: Any, old: Any) -> Any:
    """The tree `new`, or `old` where the update is not to be applied."""
    return jax.tree.map(lambda after, before: jnp.where(applied, after, before), new, old)
