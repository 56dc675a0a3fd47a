"""Freezing is data: a list of (pattern, label) says of every parameter whether it trains, and under which policy."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from flax import traverse_util

from flamingo_jax.config import ConfigError

FROZEN = "frozen"
OPTIONAL = "?"
Rules = Sequence[tuple[str, str]]

# The paper's (section 3.2.1 of its first version): resampler, cross-attention and `<EOC>` train, all else is frozen.
PAPER_RULES = (
    (r"vision_encoder/.*", FROZEN),
    (r"resampler/.*", "resampler"),
    (r"?visual_projection/.*", "cross_attention"),  # OpenFlamingo and IDEFICS have none
    (r"language_model/.*/gated_cross_attention/.*", "cross_attention"),
    (r"language_model/new_.*", "new_tokens"),
    (r"language_model/.*", FROZEN),
)


class FreezingError(ConfigError):
    """The rules do not fit the model's parameters."""


def label(paths: Iterable[str], rules: Rules) -> dict[str, str]:
    """The label of each parameter path (`resampler/latents`): that of the first rule whose pattern matches all of it.

    A pattern that begins with "?" is for parts that a model need not have.

    Raises:
      FreezingError: another pattern matches no parameter at all, or a parameter matches no pattern.
    """
    paths = list(paths)
    compiled = [(_compile(pattern.removeprefix(OPTIONAL)), name) for pattern, name in rules]
    idle = [
        pattern.pattern
        for (pattern, _), (written, _) in zip(compiled, rules, strict=True)
        if not written.startswith(OPTIONAL) and not any(pattern.fullmatch(path) for path in paths)
    ]
    if idle:
        raise FreezingError(
            f"freezing patterns that match no parameter: {', '.join(map(repr, idle))}. "
            f"Parameters look like: {', '.join(_spread(paths))}"
        )
    labels, unlabelled = {}, []
    for path in paths:
        name = next((name for pattern, name in compiled if pattern.fullmatch(path)), None)
        if name is None:
            unlabelled.append(path)
        else:
            labels[path] = name
    if unlabelled:
        raise FreezingError(
            f"{len(unlabelled)} parameters match no freezing pattern, the first {unlabelled[0]!r}: "
            "add a last pattern '.*' that says what becomes of the rest"
        )
    return labels


def _compile(pattern: str) -> re.Pattern:
    try:
        return re.compile(pattern)
    except re.error as error:
        raise FreezingError(f"freezing pattern {pattern!r} is not a regular expression: {error}") from error


def _spread(paths: list[str], most: int = 6) -> list[str]:
    return paths[:: max(1, len(paths) // most)][:most]


def split(params: Mapping[str, Any], labels: Mapping[str, str]) -> tuple[dict, dict]:
    """The nested tree `params` as two: the trainable leaves, and the frozen ones."""
    flat = traverse_util.flatten_dict(params, sep="/")
    trainable = {path: leaf for path, leaf in flat.items() if labels[path] != FROZEN}
    frozen = {path: leaf for path, leaf in flat.items() if labels[path] == FROZEN}
    return traverse_util.unflatten_dict(trainable, sep="/"), traverse_util.unflatten_dict(frozen, sep="/")


def merge(trainable: Mapping[str, Any], frozen: Mapping[str, Any]) -> dict:
    """The inverse of `split`."""
    flat = traverse_util.flatten_dict(trainable, sep="/") | traverse_util.flatten_dict(frozen, sep="/")
    return traverse_util.unflatten_dict(flat, sep="/")


def summary(shapes: Mapping[str, Any], labels: Mapping[str, str]) -> str:
    """A table for the log: parameters per module and label. `shapes` has a `.size` at each path."""
    counts: dict[tuple[str, str], int] = {}
    for path, leaf in shapes.items():
        parts = path.split("/")
        module = "/".join(part for part in parts[:1] + [p for p in parts[1:-1] if p == "gated_cross_attention"])
        counts[module, labels[path]] = counts.get((module, labels[path]), 0) + leaf.size
    width = max(len(module) for module, _ in counts)
    lines = [f"{module:<{width}}  {name:<16} {count:>16,}" for (module, name), count in sorted(counts.items())]
    for title, is_frozen in (("trainable", False), ("frozen", True)):
        total = sum(count for (_, name), count in counts.items() if (name == FROZEN) == is_frozen)
        lines.append(f"{'total':<{width}}  {title:<16} {total:>16,}")
    return "\n".join(lines)
