"""A training run's configuration, and what is built from it before the first step."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import traverse_util
from jax.sharding import Mesh, NamedSharding

from flamingo_jax.config import ConfigError
from flamingo_jax.data.mixture import MixtureConfig
from flamingo_jax.data.tokenizer import NewTokens, Tokenizer, load_tokenizer
from flamingo_jax.interop.pretrained import PretrainedConfig, load_pretrained
from flamingo_jax.models.flamingo import Flamingo, FlamingoConfig
from flamingo_jax.parallel.mesh import MeshConfig, make_mesh
from flamingo_jax.parallel.rules import param_shardings, replicated
from flamingo_jax.training.checkpoints import CheckpointConfig
from flamingo_jax.training.freezing import FROZEN, PAPER_RULES, Rules, label, split, summary
from flamingo_jax.training.optimizer import OptimizerConfig, make_optimizer
from flamingo_jax.training.state import Params, TrainState, abstract_params, flat_shapes, init_trainable
from flamingo_jax.training.step import LossConfig


@dataclasses.dataclass(frozen=True)
class RunConfig:
    """Everything that a run depends on; saved beside its checkpoints.

    Attributes:
      model, pretrained, mixture, optimizer, mesh, checkpoints: the parts.
      freezing: (pattern, label) rules, see `training.freezing`.
      loss_per: "sequence" (the paper) or "token", see `training.step.LossConfig`.
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
    freezing: Rules = PAPER_RULES
    loss_per: str = "sequence"
    steps: int = 500_000
    seed: int = 0
    log_every: int = 10

    def __post_init__(self):
        LossConfig({}, self.loss_per)  # refuses what it does not know before any weights are read
        for name in ("steps", "log_every"):
            if not isinstance(getattr(self, name), int) or getattr(self, name) < 1:
                raise ValueError(f"RunConfig.{name} must be a positive integer, got {getattr(self, name)!r}")


@dataclasses.dataclass(frozen=True)
class Setup:
    """A run that is ready to go: `state` is the one before the first update."""

    model: Flamingo
    mesh: Mesh
    labels: Mapping[str, str]
    optimizer: optax.GradientTransformation
    state: TrainState
    frozen: Params
    fingerprint: str
    parameter_table: str

    def count(self, frozen: bool) -> int:
        """How many parameters are frozen, or trainable."""
        return sum(leaf.size for leaf in jax.tree.leaves(self.frozen if frozen else self.state.params))


def run_tokenizer(config: RunConfig) -> Tokenizer:
    """The tokenizer of a run's model, with the tokens that are new to it.

    Raises:
      FileNotFoundError, TokenizerError: there is none, or it is of another vocabulary.
    """
    model = config.model
    new = NewTokens(model.num_new_tokens, model.end_of_chunk, model.image_tokens)
    return load_tokenizer(config.pretrained.tokenizer_path, model.language.vocab_size, new)


def set_up(config: RunConfig) -> Setup:
    """Loads the frozen weights, draws the trainable ones, and places both on the mesh."""
    model, mesh = Flamingo(config.model), make_mesh(config.mesh)
    boxed = abstract_params(model)
    shapes = flat_shapes(boxed)
    labels = label(shapes, config.freezing)
    optimizer = make_optimizer(config.optimizer, labels, config.steps)
    shardings = param_shardings(boxed, mesh, config.mesh.rules)

    pretrained, fingerprint = load_pretrained(
        config.pretrained,
        config.model,
        {path: leaf.shape for path, leaf in shapes.items()},
        {path for path, name in labels.items() if name != FROZEN},
    )
    by_path = traverse_util.flatten_dict(shardings, sep="/")
    # One by one, so that no more than a leaf is there twice.
    placed = {path: _place(pretrained.pop(path), by_path[path]) for path in list(pretrained)}
    unloaded = [path for path, name in labels.items() if name == FROZEN and path not in placed]
    if unloaded:
        raise ConfigError(
            f"{len(unloaded)} frozen parameters come from no pretrained file, the first {unloaded[0]!r}: "
            "name one (PretrainedConfig.language, .vision or .flamingo), or give it a trainable label"
        )
    # Only what no file gives is drawn; a pretrained part that trains starts from its file.
    params = traverse_util.flatten_dict(
        init_trainable(model, labels, config.seed, split(shardings, labels)[0]), sep="/"
    )
    params |= {path: leaf for path, leaf in placed.items() if labels[path] != FROZEN}
    params = traverse_util.unflatten_dict(params, sep="/")
    frozen = {path: leaf for path, leaf in placed.items() if labels[path] == FROZEN}
    state = TrainState(
        jax.device_put(jnp.zeros((), jnp.int32), replicated(mesh)),
        params,
        _init_optimizer(optimizer, params, by_path, mesh),
    )
    return Setup(
        model,
        mesh,
        labels,
        optimizer,
        state,
        traverse_util.unflatten_dict(frozen, sep="/"),
        fingerprint,
        summary(shapes, labels),
    )


def _place(leaf: np.ndarray, sharding: NamedSharding) -> jax.Array:
    """Puts each device's shard on it."""
    return jax.make_array_from_callback(leaf.shape, sharding, lambda index: leaf[index])


def _init_optimizer(
    optimizer: optax.GradientTransformation, params: Params, by_path: Mapping[str, NamedSharding], mesh: Mesh
) -> Any:
    """The optimizer's state, each moment sharded like its parameter, which is the end of the moment's own path."""

    def sharding(path: tuple, leaf: Any) -> NamedSharding:
        keys = [str(entry.key) for entry in path if isinstance(entry, jax.tree_util.DictKey)]
        ends = ("/".join(keys[start:]) for start in range(len(keys)))
        return next((by_path[end] for end in ends if end in by_path), replicated(mesh))

    placed = jax.tree_util.tree_map_with_path(sharding, jax.eval_shape(optimizer.init, params))
    return jax.jit(optimizer.init, out_shardings=placed)(params)
