"""A new run that starts from parameters of another: from a training run's newest checkpoint, or a converted model.

A checkpoint goes on as it was, with its optimizer and its place in the data. What is told here is another run, which
begins at step 0 with a fresh optimizer and takes only values: fine-tuning a trained model, giving one a new resampler,
or training on with other data.
"""

import contextlib
import dataclasses
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax

from flamingo_jax import config as config_lib
from flamingo_jax.config import ConfigError
from flamingo_jax.interop import native, parts
from flamingo_jax.interop.canonical import Place, flatten_shapes, places
from flamingo_jax.interop.conversion import Parameters, Source
from flamingo_jax.interop.locate import locate
from flamingo_jax.interop.pretrained import load_parameters
from flamingo_jax.interop.weight_map import Drop, some
from flamingo_jax.models.flamingo import FlamingoConfig
from flamingo_jax.training.changes import REFUSED, describe, model_changes
from flamingo_jax.training.checkpoint_file import CheckpointFile, is_run, newest


@dataclasses.dataclass(frozen=True)
class InitialConfig:
    """Which trainable parameters begin with the values of another model.

    Attributes:
      path: the workdir of a training run, whose newest checkpoint is read, or a folder that `flamingo_jax.convert`
        wrote; local or `gs://...`. Empty: none; the parameters are drawn, or read from `PretrainedConfig`'s files.
      patterns: trainable parameters whose whole path (`resampler/latents`, as freezing rules know it) matches one of
        these regular expressions are taken. The others are drawn, or read from `PretrainedConfig`'s files.
    """

    path: str = ""
    patterns: tuple[str, ...] = (r".*",)

    def __post_init__(self):
        if isinstance(self.patterns, str) or not all(isinstance(pattern, str) for pattern in self.patterns):
            raise ValueError(f"InitialConfig.patterns is a tuple of regular expressions, got {self.patterns!r}")
        for pattern in self.patterns:
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(f"InitialConfig.patterns: {pattern!r} is not a regular expression: {error}") from error


class Initial(NamedTuple):
    """Values to begin with: found, and compared with the model by names and shapes. Nothing is read yet.

    Attributes:
      origin: what they are of, for people.
      paths: the leaves that they are for.
      parameters: the values, by canonical name.
      model: the config of the model that they were trained in.
      left: canonical names of what that run trained too, and this one does not take.
      fingerprint: of the pretrained weights below that run; empty where nothing tells.
    """

    origin: str
    paths: tuple[str, ...]
    parameters: Parameters
    model: Any
    left: tuple[str, ...] = ()
    fingerprint: str = ""

    def load(self, leaves: Mapping[str, jax.ShapeDtypeStruct], model: FlamingoConfig) -> dict[str, jax.Array]:
        """Reads the values onto the devices; each process reads what its own devices hold. All must call this.

        Args:
          leaves: how each of the run's leaves is stored, by path.
          model: the run's.

        Raises:
          WeightsError: a value cannot be read, or is not what was saved.
        """
        return load_parameters(self.parameters, model, {path: leaves[path] for path in self.paths})

    def remarks(self, model: FlamingoConfig, fingerprint: str) -> list[str]:
        """What differs below and beside the values that are taken, for the log. It may be meant, so it is no error:
        a resampler can be given another encoder, and blocks another version of their language model.

        Args:
          model: the run's.
          fingerprint: of the run's pretrained weights.
        """
        found = []
        if self.fingerprint and self.fingerprint != fingerprint:
            found.append(
                f"{self.origin} was trained on other pretrained weights (fingerprint {self.fingerprint[:12]}..., these "
                f"are {fingerprint[:12]}...)"
            )
        whole = isinstance(self.model, FlamingoConfig)  # and not a part of one
        other = [change for change in model_changes(self.model, model) if change.kind == REFUSED] if whole else []
        if other:
            listed = "\n".join(describe(other).splitlines()[1:])
            found.append(f"{self.origin} was trained in another model (there -> here):\n{listed}")
        if self.left:
            found.append(f"{self.origin} trained what is not taken: {some(self.left)}")
        return found


def open_initial(
    config: InitialConfig,
    model: FlamingoConfig,
    shapes: Mapping[str, tuple[int, ...]],
    stack: contextlib.ExitStack,
) -> Initial | None:
    """Opens what `config` names; None if it names nothing. Of several processes, all must call this.

    Args:
      config: what is taken, and from where.
      model: the run's.
      shapes: of the run's trainable leaves, by path.
      stack: closes the files.

    Raises:
      ConfigError: a pattern matches nothing, the source is neither a run nor a converted model, or a parameter is not
        in it or has another shape there: one message with all of them.
      CheckpointError, FileNotFoundError, WeightsError: the source is missing, has no checkpoint yet, or is damaged.
    """
    if not config.path:
        return None
    paths = matching(config.patterns, shapes)
    taken = {path: shapes[path] for path in paths}
    wanted, ours = flatten_shapes(taken, model.plan), places(taken, model.plan)
    folder = locate(config.path)
    step, facts = newest(folder) if is_run(folder) else (None, {})
    if step is None:
        file = stack.enter_context(parts.open_weights(config.path))
        if not parts.is_ours(file):
            raise ConfigError(
                f"InitialConfig.path = {config.path!r} is neither the workdir of a training run nor a model of this "
                "package: convert it first (python -m flamingo_jax.convert)"
            )
        origin, theirs = config.path, native.read_config(file.path.parent)
    else:
        theirs = config_lib.from_config_dict(json.loads(facts["config"])).model
        file = stack.enter_context(CheckpointFile(folder, step, theirs.plan, facts["checksums"]))
        origin = f"step {step} of {config.path}"
    _check_fit(origin, {name: file.shape(name) for name in file}, wanted, ours)
    weights = native.weight_map(wanted, [Drop(r".*", "it is not taken")])
    parameters = Parameters([Source(file, weights)], wanted)
    if step is None:
        return Initial(origin, paths, parameters, theirs)
    left = tuple(name for name in file if name not in wanted)
    return Initial(origin, paths, parameters, theirs, left, facts["frozen_fingerprint"])


def matching(patterns: Sequence[str], paths: Mapping[str, Any]) -> tuple[str, ...]:
    """The trainable paths that a pattern matches; ConfigError where a pattern matches none."""
    idle = [pattern for pattern in patterns if not any(re.fullmatch(pattern, path) for path in paths)]
    if idle:
        modules = sorted({path.partition("/")[0] for path in paths})
        raise ConfigError(
            f"InitialConfig.patterns that match no trainable parameter: {', '.join(map(repr, idle))}. "
            f"Trainable are parameters of {', '.join(modules)}; by the whole path, as in 'resampler/.*'"
        )
    return tuple(path for path in paths if any(re.fullmatch(pattern, path) for pattern in patterns))


def _check_fit(
    origin: str,
    found: Mapping[str, tuple[int, ...]],
    wanted: Mapping[str, tuple[int, ...]],
    ours: Mapping[str, Place],
) -> None:
    """Compares what is wanted with what is there, by canonical name."""
    absent = [name for name in wanted if name not in found]
    misshapen = [
        f"{name} is {tuple(found[name])}, here {tuple(shape)}"
        for name, shape in wanted.items()
        if name in found and tuple(found[name]) != tuple(shape)
    ]
    problems = []
    if absent:
        leaves = dict.fromkeys(ours[name].path for name in absent)
        problems.append(f"{len(absent)} are not in it: {some(absent)} (of {some(leaves)})")
    if misshapen:
        problems.append(f"{len(misshapen)} have another shape: {some(misshapen)}")
    if problems:
        raise ConfigError(
            f"not all trainable parameters that InitialConfig.patterns match can be taken from {origin}: "
            f"{'; '.join(problems)}. Let the patterns match only what is to be taken; the others are drawn, or read "
            "from PretrainedConfig's files"
        )
