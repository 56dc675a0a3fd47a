"""The config that stands beside weights, against the one that they are loaded into: what no tensor tells."""

import contextlib
import dataclasses
import logging
import math
from collections.abc import Collection, Sequence
from typing import Any

from flamingo_jax.interop import parts
from flamingo_jax.interop.files.tensors import TensorFile, WeightsError
from flamingo_jax.interop.opening import language_config, vision_config
from flamingo_jax.models.flamingo import FlamingoConfig
from flamingo_jax.models.language.decoder_config import DecoderConfig

_log = logging.getLogger(__name__)
_PLACEMENT = ("cross_attention_every", "cross_attention_first", "grafted_layers")
# What does not belong to weights: how new ones are drawn, what the model computes in, and the context of training.
_NOT_OF_WEIGHTS = (
    "new_rows_init_std",
    "time_init_std",
    "latents_init_std",
    "gate_init",
    "output_init_scale",
    "dtype",
    "max_length",
)


def compare_language(file: TensorFile, config: DecoderConfig) -> None:
    """Warns where what stands beside the weights describes another language model than they are loaded into.

    What no tensor tells makes a worse model of the right one without an error.
    """
    with contextlib.suppress(WeightsError):  # then nothing that is understood stands there
        _warn(file, "language model", _differing(language_config(file)[0], config))


def compare_vision(file: TensorFile, config: Any) -> None:
    """The same for the vision encoder."""
    with contextlib.suppress(WeightsError):
        theirs, unsaid = vision_config(file)
        _warn(file, "vision encoder", _differing(theirs, config, unsaid))


def compare_whole(file: TensorFile, theirs: FlamingoConfig, ours: FlamingoConfig, but: Sequence[str]) -> None:
    """The same for a whole model, apart from the fields `but`."""
    # Fields that place the same blocks at the same layers are the same placement.
    placement = _PLACEMENT if theirs.plan == ours.plan else ()
    _warn(file, "model", _differing(theirs, ours, (*but, *placement)))


def _warn(file: TensorFile, part: str, differing: Sequence[str]) -> None:
    if differing:
        _log.warning("%s says of its %s, other than the run's config: %s", file.path, part, "; ".join(differing))


def _differing(theirs: Any, ours: Any, but: Collection[str] = (), prefix: str = "") -> list[str]:
    """The fields in which two configs differ, those of nested configs too, each with both values.

    Args:
      theirs, ours: of one class, or only one of them.
      but: fields at the top that are not compared.
      prefix: what stands before the fields' names.
    """
    found, wanted = _in_effect(theirs), _in_effect(ours)
    differing = []
    for name in found:
        if name in but or name not in wanted:
            continue
        old, new, path = found[name], wanted[name], prefix + name
        if dataclasses.is_dataclass(old) and dataclasses.is_dataclass(new):
            if isinstance(new, type(old)):
                differing += _differing(old, new, prefix=f"{path}.")
            else:
                differing.append(f"{path} {parts.a_class(old)}, not {parts.a_class(new)}")
        elif not _equal(old, new):
            differing.append(f"{path} {old!r}, not {new!r}")
    return differing


def _in_effect(config: Any) -> dict[str, Any]:
    """The fields that have a say in what the weights compute, with values in place of what stands for them."""
    fields = {field.name: getattr(config, field.name) for field in dataclasses.fields(config)}
    fields = {name: value for name, value in fields.items() if name not in _NOT_OF_WEIGHTS}
    if not isinstance(config, DecoderConfig):
        return fields
    local = config.positions == "rotary" and any(config.layer_windows)
    unused = {
        "rope_theta": config.positions != "rotary",
        "rotary_fraction": config.positions != "rotary",
        "rotary_scaling": config.positions != "rotary",
        "local_rope_theta": not local,
        "position_offset": config.positions != "learned",
        "alibi_max": config.positions != "alibi",
    }
    values = {
        "windows": ("layer_windows", config.layer_windows),
        "local_rope_theta": ("local_rope_theta", config.local_rope_theta or config.rope_theta),
        "attention_scale": ("attention_scale", config.attention_scale or config.head_dim**-0.5),
    }
    return dict(values.get(name, (name, value)) for name, value in fields.items() if not unused.get(name))


def _equal(one: Any, other: Any) -> bool:
    """Whether two values are the same, apart from the last digits that a file may have cut."""
    if isinstance(one, tuple) and isinstance(other, tuple):
        return len(one) == len(other) and all(map(_equal, one, other))
    if isinstance(one, float) or isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-6)
    return one == other
