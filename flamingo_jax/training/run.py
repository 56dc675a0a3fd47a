"""A training run's configuration."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from flamingo_jax.data.mixture import MixtureConfig
from flamingo_jax.data.schedule import ACCUMULATE, MERGED
from flamingo_jax.data.tokenizer import NewTokens, Tokenizer, load_tokenizer
from flamingo_jax.interop.pretrained import PretrainedConfig
from flamingo_jax.models.flamingo import FlamingoConfig
from flamingo_jax.parallel.mesh import MeshConfig
from flamingo_jax.training.checkpoints import CheckpointConfig
from flamingo_jax.training.freezing import PAPER_RULES, Rules
from flamingo_jax.training.health import HealthConfig
from flamingo_jax.training.initial import InitialConfig
from flamingo_jax.training.optimizer import OptimizerConfig
from flamingo_jax.training.step import LossConfig, passes


@dataclasses.dataclass(frozen=True)
class RunConfig:
    """Everything that a run depends on; saved beside its checkpoints.

    Attributes:
      model, pretrained, mixture, optimizer, mesh, checkpoints, health: the parts.
      initial: parameters of another run to start from.
      freezing: (pattern, label) rules, see `training.freezing`.
      loss_per: "sequence" (the paper) or "token", see `training.step.LossConfig`.
      joined: groups of datasets whose rows, of one length, go through the language model together.
      microbatches, loss_chunk, image_chunk: what the step holds in memory at a time. These and `joined` change nothing
        that is computed, see `training.step.StepOptions`.
      compiler_options: of XLA for the step, name -> value; for the chips that know them.
      evaluations: few-shot evaluations in the middle of the run, see `evaluation.fewshot.in_training`.
      steps: updates in all (paper: 500,000).
      seed: of the initial values; the mixture has its own.
      log_every: updates between two lines of metrics.
    """

    model: FlamingoConfig
    pretrained: PretrainedConfig
    mixture: MixtureConfig
    optimizer: OptimizerConfig
    mesh: MeshConfig = dataclasses.field(default_factory=MeshConfig)
    checkpoints: CheckpointConfig = dataclasses.field(default_factory=CheckpointConfig)
    health: HealthConfig = dataclasses.field(default_factory=HealthConfig)
    initial: InitialConfig = dataclasses.field(default_factory=InitialConfig)
    freezing: Rules = PAPER_RULES
    loss_per: str = "sequence"
    joined: tuple[tuple[str, ...], ...] = ()
    microbatches: Mapping[str, int] = dataclasses.field(default_factory=dict)
    loss_chunk: int = 0
    image_chunk: int = 64
    compiler_options: Mapping[str, str | int | float | bool] = dataclasses.field(default_factory=dict)
    evaluations: tuple[Any, ...] = ()
    steps: int = 500_000
    seed: int = 0
    log_every: int = 10

    def __post_init__(self):
        LossConfig({}, self.loss_per)  # refuses what it does not know before any weights are read
        for name in ("steps", "log_every"):
            if not isinstance(getattr(self, name), int) or getattr(self, name) < 1:
                raise ValueError(f"RunConfig.{name} must be a positive integer, got {getattr(self, name)!r}")
        for name in ("loss_chunk", "image_chunk"):
            if not isinstance(getattr(self, name), int) or getattr(self, name) < 0:
                raise ValueError(f"RunConfig.{name} must be a whole number, 0 for all, got {getattr(self, name)!r}")
        self._check_joined()
        if self.health.roll_back_by > self.checkpoints.keep:
            raise ValueError(
                f"HealthConfig.roll_back_by is {self.health.roll_back_by}, but only the newest "
                f"{self.checkpoints.keep} checkpoints are kept (CheckpointConfig.keep)"
            )
        known = ["loss", *(f"loss/{name}" for name, _ in self.mixture.datasets)]
        if self.checkpoints.best not in known:
            raise ValueError(f"CheckpointConfig.best is one of {', '.join(known)}, got {self.checkpoints.best!r}")
        names = [MERGED] if self.mixture.strategy == MERGED else list(passes(dict(self.mixture.datasets), self.joined))
        wrong = {
            name: count
            for name, count in self.microbatches.items()
            if name not in names or not isinstance(count, int) or count < 1
        }
        if wrong:
            raise ValueError(f"RunConfig.microbatches gives batches ({', '.join(names)}) whole numbers, got {wrong}")

    @property
    def parts(self) -> dict[str, int]:
        """Dataset -> in how many microbatches its rows are taken, by itself, joined or merged with others."""
        names = [name for name, _ in self.mixture.datasets]
        groups = {MERGED: names} if self.mixture.strategy == MERGED else passes(names, self.joined)
        return {each: self.microbatches.get(name, 1) for name, group in groups.items() for each in group}

    def _check_joined(self) -> None:
        """Refuses groups of datasets that cannot go together."""
        named = [name for group in self.joined for name in group]
        if not named:
            return
        if self.mixture.strategy != ACCUMULATE:
            raise ValueError(f"RunConfig.joined does nothing with strategy {self.mixture.strategy!r}; leave it out")
        datasets = dict(self.mixture.datasets)
        if len(set(named)) < len(named) or not set(named) <= set(datasets):
            raise ValueError(f"RunConfig.joined groups datasets ({', '.join(datasets)}), each once; got {self.joined}")
        for group in self.joined:
            lengths = {name: datasets[name].length for name in group}
            if len(set(lengths.values())) > 1:
                raise ValueError(f"RunConfig.joined needs datasets with rows of one length, but length is {lengths}")


def run_tokenizer(config: RunConfig) -> Tokenizer:
    """The tokenizer of a run's model, with the tokens that are new to it.

    Raises:
      FileNotFoundError, TokenizerError: there is none, or it is of another vocabulary.
    """
    model = config.model
    new = NewTokens(model.num_new_tokens, model.end_of_chunk, model.image_tokens)
    return load_tokenizer(config.pretrained.tokenizer_path, model.language.vocab_size, new)
