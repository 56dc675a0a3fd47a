"""A run's values before its first update: the frozen weights, read; the trainable ones, read or drawn."""

import dataclasses

import jax
from flax import traverse_util

from flamingo_jax.config import ConfigError
from flamingo_jax.interop.pretrained import Sharing, given, load_pretrained
from flamingo_jax.parallel.hosts import sum_tables
from flamingo_jax.parallel.rules import replicated
from flamingo_jax.training.design import Design
from flamingo_jax.training.freezing import FROZEN
from flamingo_jax.training.state import Params, TrainState, init_trainable


@dataclasses.dataclass(frozen=True)
class Setup:
    """A run that is ready to go: `state` is the one before the first update."""

    design: Design
    state: TrainState
    frozen: Params
    fingerprint: str


def set_up(design: Design) -> Setup:
    """Loads the frozen weights, draws the trainable ones, and places both on the mesh.

    Each process loads the shards of its own devices. Of several processes, all must call this.

    Raises:
      ConfigError: a frozen parameter comes from no file, or the compiler does not know an option.
      FileNotFoundError, WeightsError: as `load_pretrained`.
    """
    config, labels = design.config, design.labels
    _check_options(design)
    _check_given(design)
    leaves = traverse_util.flatten_dict(design.frozen, sep="/")
    leaves |= traverse_util.flatten_dict(design.state.params, sep="/")
    sharing = Sharing(jax.process_index(), jax.process_count(), sum_tables)
    loaded, fingerprint = load_pretrained(config.pretrained, config.model, leaves, sharing)
    # Only what no file gives is drawn; a pretrained part that trains starts from its file.
    shardings = jax.tree.map(lambda leaf: leaf.sharding, design.state.params)
    drawn = init_trainable(design.model, labels, config.seed, shardings)
    params = traverse_util.flatten_dict(drawn, sep="/")
    params |= {path: leaf for path, leaf in loaded.items() if labels[path] != FROZEN}
    state = design.start(traverse_util.unflatten_dict(params, sep="/"))
    frozen = {path: leaf for path, leaf in loaded.items() if labels[path] == FROZEN}
    return Setup(design, state, traverse_util.unflatten_dict(frozen, sep="/"), fingerprint)


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
