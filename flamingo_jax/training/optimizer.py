"""AdamW as the paper uses it (appendix B.1.2): linear warm-up, constant rate, global-norm clipping, decay by label."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import optax
from flax import traverse_util

from flamingo_jax.config import ConfigError
from flamingo_jax.training.freezing import FROZEN


@dataclasses.dataclass(frozen=True)
class Policy:
    """How the parameters of one label train.

    Attributes:
      weight_decay: decoupled decay (paper: 0.1, and 0 on the resampler).
      learning_rate_scale: factor on the learning rate.
    """

    weight_decay: float = 0.1
    learning_rate_scale: float = 1.0


@dataclasses.dataclass(frozen=True)
class OptimizerConfig:
    """Defaults are the paper's where it states them.

    Attributes:
      policies: label (of the freezing rules) -> `Policy`; each trainable label needs one.
      learning_rate: after the warm-up.
      warmup_steps: linear, from 0.
      cooldown_steps: linear, to 0 at the run's last step (the paper found that decay gave nothing: 0).
      decay_steps: after the warm-up the rate falls exponentially, by `decay_factor` in so many updates, and goes on
        so; 0: it stays. For fine-tuning (paper, appendix B.2.2: "exponential decay" by factors of 10; over how many
        updates is not stated). Not together with `cooldown_steps`.
      decay_factor: see there.
      clip_norm: on the global norm of all gradients together.
      b1, b2, eps: of Adam (not stated in the paper; the usual ones).
    """

    policies: Mapping[str, Policy]
    learning_rate: float = 1e-4
    warmup_steps: int = 5_000
    cooldown_steps: int = 0
    decay_steps: int = 0
    decay_factor: float = 0.1
    clip_norm: float = 1.0
    b1: float = 0.9
    b2: float = 0.999
    eps: float = 1e-8

    def __post_init__(self):
        for name in ("warmup_steps", "cooldown_steps", "decay_steps"):
            if not isinstance(getattr(self, name), int) or getattr(self, name) < 0:
                raise ValueError(f"OptimizerConfig.{name} must be a whole number, got {getattr(self, name)!r}")
        if self.decay_steps and self.cooldown_steps:
            raise ValueError(
                f"OptimizerConfig.decay_steps = {self.decay_steps} and cooldown_steps = {self.cooldown_steps} are two "
                "ends of one schedule: set one of them to 0"
            )
        if not 0 < self.decay_factor < 1:
            raise ValueError(f"OptimizerConfig.decay_factor lies between 0 and 1, got {self.decay_factor!r}")


def schedule(config: OptimizerConfig, steps: int) -> optax.Schedule:
    """Update number -> learning rate, for a run of `steps` updates. The first already moves (rate / warm-up)."""
    rise = optax.linear_schedule(
        config.learning_rate / max(config.warmup_steps, 1), config.learning_rate, max(config.warmup_steps - 1, 1)
    )
    if config.decay_steps:
        fall = optax.exponential_decay(config.learning_rate, config.decay_steps, config.decay_factor)
        return optax.join_schedules([rise, fall], [max(config.warmup_steps - 1, 0)])
    if not config.cooldown_steps:
        return rise
    fall = optax.linear_schedule(config.learning_rate, 0.0, config.cooldown_steps)
    return optax.join_schedules([rise, fall], [max(steps - config.cooldown_steps, 0)])


def make_optimizer(config: OptimizerConfig, labels: Mapping[str, str], steps: int) -> optax.GradientTransformation:
    """The optimizer of the trainable tree; frozen leaves are no part of it.

    Args:
      config: as above.
      labels: parameter path -> label, from `freezing.label`.
      steps: the run's length.

    Raises:
      ConfigError: a trainable label has no policy, or a policy's label is given to no parameter.
    """
    used = {name for name in labels.values() if name != FROZEN}
    if used != set(config.policies):
        raise ConfigError(
            f"the optimizer has policies for {sorted(config.policies)}, but the freezing rules label "
            f"trainable parameters {sorted(used)}: they must be the same"
        )
    rate = schedule(config, steps)

    def adamw(policy: Policy) -> optax.GradientTransformation:
        return optax.adamw(
            lambda count: rate(count) * policy.learning_rate_scale,
            config.b1,
            config.b2,
            config.eps,
            weight_decay=policy.weight_decay,
        )

    def label_tree(tree: Any) -> Any:
        return traverse_util.path_aware_map(lambda path, _: labels["/".join(path)], tree)

    transforms = {name: adamw(policy) for name, policy in config.policies.items()}
    return optax.chain(optax.clip_by_global_norm(config.clip_norm), optax.multi_transform(transforms, label_tree))
