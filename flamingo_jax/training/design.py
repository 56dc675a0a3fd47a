"""A run before any value is there: what its configuration and its devices decide, as shapes and shardings.

Training fills a design with values (`training.setup`); planning compiles it for devices that are not there.
"""

import contextlib
import dataclasses
import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn
from flax import traverse_util
from jax.sharding import Mesh, NamedSharding

from flamingo_jax.config import ConfigError
from flamingo_jax.data.dataset_config import SEES_ALL
from flamingo_jax.data.schedule import MERGED
from flamingo_jax.data.shapes import batch_shapes
from flamingo_jax.models.attention_kernels import runs_on
from flamingo_jax.models.flamingo import Flamingo
from flamingo_jax.parallel.mesh import make_mesh
from flamingo_jax.parallel.rules import batch_sharding, check_batches, param_shardings, replicated
from flamingo_jax.training.freezing import FROZEN, label
from flamingo_jax.training.health import healthy
from flamingo_jax.training.optimizer import make_optimizer, schedule
from flamingo_jax.training.quantization import abstract_frozen
from flamingo_jax.training.run import RunConfig
from flamingo_jax.training.state import Params, TrainState, abstract_variables, flat_shapes
from flamingo_jax.training.step import Batch, LossConfig, StepOptions, make_step

HOST_ONLY = ("skipped",)
"""Arrays of a batch that the step does not take."""

Shardings = Mapping[str, NamedSharding]


@dataclasses.dataclass(frozen=True)
class Design:
    """Everything about a run's step but the values.

    Attributes:
      labels: parameter path -> label, "frozen" among them.
      shapes: parameter path -> its shape.
      shardings: parameter path -> where it lies.
      moments: trainable parameter's path -> where its gradient and the optimizer's moments lie.
      state, frozen: what the step takes, as `ShapeDtypeStruct`s with shardings; frozen leaves as they are stored.
    """

    config: RunConfig
    model: Flamingo
    mesh: Mesh
    labels: Mapping[str, str]
    optimizer: optax.GradientTransformation
    shapes: Mapping[str, jax.ShapeDtypeStruct]
    shardings: Shardings
    moments: Shardings
    state: TrainState
    frozen: Params

    @classmethod
    def make(cls, config: RunConfig, devices: Sequence[Any] | None = None, *, trains: bool = True) -> "Design":
        """The design of a run on `devices` (default: all that there are).

        Args:
          trains: whether it will make steps, of which each batch must divide over the devices; else it only answers.

        Raises:
          ConfigError: the mesh or the attention kernel does not fit the devices, a batch or a parameter does
            not divide over it, or the freezing rules or the optimizer's policies do not fit the model.
        """
        mesh = make_mesh(config.mesh, devices)
        sizes = {name: dataset.batch_size for name, dataset in config.mixture.datasets}
        if trains:
            _check_batches(config, sizes, mesh)
        platform = mesh.devices.flat[0].platform
        if not runs_on(config.model.attention, platform):
            raise ConfigError(
                f"FlamingoConfig.attention = {config.model.attention!r} does not run on {platform} devices: set 'xla', "
                "or see the table in docs/models.md"
            )
        model = Flamingo(config.model)
        variables = abstract_variables(model)
        params, scales = variables["params"], variables["scales"]
        shapes = flat_shapes(params)
        labels = label(shapes, config.freezing)
        optimizer = make_optimizer(config.optimizer, labels, config.steps)
        trainable = [path for path, name in labels.items() if name != FROZEN]

        def shardings(tree: Params, field: str = "rules") -> Shardings:
            found = param_shardings(tree, mesh, getattr(config.mesh, field), f"MeshConfig.{field}")
            return traverse_util.flatten_dict(found, sep="/")

        places = shardings(params)
        moments = shardings(params, "moment_rules" if config.mesh.moment_rules else "rules")
        moments = {path: moments[path] for path in trainable}
        drawn = _tree({path: _leaf(shapes[path].shape, jnp.float32, places[path]) for path in trainable})
        frozen_dtype = config.pretrained.frozen_dtype
        return cls(
            config,
            model,
            mesh,
            labels,
            optimizer,
            shapes,
            places,
            moments,
            TrainState(
                _leaf((), jnp.int32, replicated(mesh)),
                drawn,
                _opt_state(optimizer, drawn, moments, mesh),
                jax.tree.map(lambda leaf: _leaf(leaf.shape, leaf.dtype, replicated(mesh)), healthy(sizes)),
            ),
            abstract_frozen(shapes, labels, places, flat_shapes(scales), shardings(scales), frozen_dtype),
        )

    @functools.cached_property
    def step(self) -> Any:
        """The jitted `(state, frozen, batch) -> (state, metrics)`, to be called in `scope`; it donates the state."""
        config = self.config
        weights = {name: dataset.weight for name, dataset in config.mixture.datasets}
        ranges = any(dataset.images_seen == SEES_ALL for _, dataset in config.mixture.datasets)
        options = StepOptions(
            joined=config.joined,
            microbatches=config.microbatches,
            loss_chunk=config.loss_chunk,
            image_chunk=config.image_chunk,
            shardings=_tree(self.moments),
            image_ranges=ranges,
            labels=self.labels,
        )
        loss, rate = LossConfig(weights, config.loss_per), schedule(config.optimizer, config.steps)
        step = make_step(self.model, self.optimizer, rate, loss, options, config.health)
        kept = jax.tree.map(lambda leaf: leaf.sharding, self.state)
        return jax.jit(
            step,
            donate_argnums=0,
            out_shardings=(kept, replicated(self.mesh)),
            compiler_options=dict(config.compiler_options) or None,
        )

    @property
    def batches(self) -> dict[tuple[str, ...], Batch]:
        """Datasets of a step -> its batch, as `ShapeDtypeStruct`s; one for each kind of step that the mixture makes."""
        sharding = batch_sharding(self.mesh, self.config.mesh.rules)
        return {
            names: {
                name: {key: _leaf(x.shape, x.dtype, sharding) for key, x in part.items() if key not in HOST_ONLY}
                for name, part in batch.items()
            }
            for names, batch in batch_shapes(self.config.mixture).items()
        }

    def start(self, params: Params) -> TrainState:
        """The state before the first update, with its moments where they lie."""
        moments = jax.tree.map(lambda leaf: leaf.sharding, self.state.opt_state)
        opt_state = jax.jit(self.optimizer.init, out_shardings=moments)(params)
        watched = healthy(self.state.health.mean)
        step, watched = jax.jit(lambda: (jnp.zeros((), jnp.int32), watched), out_shardings=replicated(self.mesh))()
        return TrainState(step, params, opt_state, watched)

    @contextlib.contextmanager
    def scope(self) -> Iterator[None]:
        """Puts the mesh and the sharding rules in force, for all that computes with this design's arrays."""
        with nn.logical_axis_rules(self.config.mesh.rules), jax.set_mesh(self.mesh):
            yield

    def lower(self, batch: Batch) -> jax.stages.Lowered:
        """The step for one of `batches`, ready to compile for the design's devices, which need not be there."""
        with self.scope():
            return self.step.lower(self.state, self.frozen, batch)

    def count(self, frozen: bool) -> int:
        """How many parameters are frozen, or trainable."""
        return sum(self.shapes[path].size for path, name in self.labels.items() if (name == FROZEN) == frozen)


def _check_batches(config: RunConfig, sizes: Mapping[str, int], mesh: Mesh) -> None:
    rules = config.mesh.rules
    if config.mixture.strategy == MERGED:
        # Devices share each dataset's rows, but what is cut into microbatches is all of them together.
        check_batches(sizes, mesh, rules)
        check_batches({MERGED: sum(sizes.values())}, mesh, rules, config.microbatches)
    else:
        check_batches(sizes, mesh, rules, config.parts)


def _opt_state(optimizer: optax.GradientTransformation, params: Params, moments: Shardings, mesh: Mesh) -> Any:
    """The optimizer's state; each moment lies as `moments` has it for the parameter whose path its own ends with."""

    def place(path: tuple, leaf: jax.ShapeDtypeStruct) -> jax.ShapeDtypeStruct:
        keys = [str(entry.key) for entry in path if isinstance(entry, jax.tree_util.DictKey)]
        ends = ("/".join(keys[start:]) for start in range(len(keys)))
        return _leaf(leaf.shape, leaf.dtype, next((moments[end] for end in ends if end in moments), replicated(mesh)))

    return jax.tree_util.tree_map_with_path(place, jax.eval_shape(optimizer.init, params))


def _leaf(shape: tuple[int, ...], dtype: Any, sharding: NamedSharding) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(shape, dtype, sharding=sharding)


def _tree(flat: Mapping[str, Any]) -> Params:
    return traverse_util.unflatten_dict(dict(flat), sep="/")
