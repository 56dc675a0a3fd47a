"""A run's values before its first update: the frozen weights, read; the trainable ones, read or drawn."""

import contextlib
import dataclasses
import logging

import jax
from flax import traverse_util

from flamingo_jax.config import ConfigError
from flamingo_jax.interop.pretrained import Sharing, given, load_pretrained
from flamingo_jax.parallel.hosts import sum_tables
from flamingo_jax.parallel.rules import replicated
from flamingo_jax.training.design import Design
from flamingo_jax.training.freezing import FROZEN
from flamingo_jax.training.initial import open_initial
from flamingo_jax.training.state import Params, TrainState, init_trainable

_logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Setup:
    """A run that is ready to go.

    Attributes:
      params: the trainable values before the first update; None where a checkpoint gives others.
      frozen, fingerprint: the frozen values, and the hash of all pretrained ones.
    """

    design: Design
    params: Params | None
    frozen: Params
    fingerprint: str

    def start(self) -> TrainState:
        """The state before the first update."""
        assert self.params is not None, "a resumed run starts from its checkpoint"
        return self.design.start(self.params)


def set_up(design: Design, *, resumed: bool = False) -> Setup:
    """Loads the frozen weights, reads or draws the trainable ones, and places both on the mesh.

    Each process loads the shards of its own devices. Of several processes, all must call this.

    Args:
      resumed: a checkpoint will give the trainable values, so what `RunConfig.initial` names is not looked at.

    Raises:
      ConfigError: a frozen parameter comes from no file, the compiler does not know an option, or `RunConfig.initial`
        does not fit (see `open_initial`).
      FileNotFoundError, WeightsError, CheckpointError: as `load_pretrained` and `open_initial`.
    """
    config, labels = design.config, design.labels
    _check_options(design)
    _check_given(design)
    trainable = traverse_util.flatten_dict(design.state.params, sep="/")
    with contextlib.ExitStack() as stack:
        initial = None
        if not resumed:  # before the weights, which take long
            shapes = {path: leaf.shape for path, leaf in trainable.items()}
            initial = open_initial(config.initial, config.model, shapes, stack)
        sharing = Sharing(jax.process_index(), jax.process_count(), sum_tables)
        leaves = traverse_util.flatten_dict(design.frozen, sep="/") | trainable
        loaded, fingerprint = load_pretrained(config.pretrained, config.model, leaves, sharing)
        frozen = {path: leaf for path, leaf in loaded.items() if labels[path] == FROZEN}
        frozen = traverse_util.unflatten_dict(frozen, sep="/")
        if resumed:
            return Setup(design, None, frozen, fingerprint)
        # Only what no file gives is drawn; a pretrained part that trains starts from its file.
        shardings = jax.tree.map(lambda leaf: leaf.sharding, design.state.params)
        drawn = init_trainable(design.model, labels, config.seed, shardings)
        params = traverse_util.flatten_dict(drawn, sep="/")
        params |= {path: leaf for path, leaf in loaded.items() if labels[path] != FROZEN}
        if initial is not None:
            params |= initial.load(trainable, config.model)
            if jax.process_index() == 0:
                _logger.info("%d of %d trainable arrays from %s", len(initial.paths), len(trainable), initial.origin)
                for remark in initial.remarks(config.model, fingerprint):
                    _logger.warning("%s", remark)
        return Setup(design, traverse_util.unflatten_dict(params, sep="/"), frozen, fingerprint)


def _check_options(design: Design) -> None:
    """By a program of nothing, long before that of the step."""
    options = dict(design.config.compiler_options)
    if not options:
        return
    try:
        jax.jit(lambda: 0, out_shardings=replicated(design.mesh), compiler_options=options).lower().compile()
    except jax.errors.JaxRuntimeError as error:
        platform = design.mesh.devices.flat[0].platform
        raise ConfigError(f"RunConfig.compiler_options = {options} on {platform} devices: {error}") from error


def _check_given(design: Design) -> None:
    """Before anything is read, which can take long."""
    config = design.config
    found = given(config.pretrained, config.model, {path: leaf.shape for path, leaf in design.shapes.items()})
    unloaded = [path for path, name in design.labels.items() if name == FROZEN and path not in found]
    if unloaded:
        raise ConfigError(
            f"{len(unloaded)} frozen parameters come from no pretrained file, the first {unloaded[0]!r}: "
            "name one (PretrainedConfig.language, .vision or .flamingo), or give it a trainable label"
        )
