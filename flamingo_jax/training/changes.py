"""What changed between the configuration that a checkpoint was saved with and that of the run that goes on from it.

A run may go on with another mesh or another interval of its log: the numbers stay what they would have been. Another
learning rate or batch size makes it another run, which must be meant. And another model has no place for the state.
`KINDS` says which field is which.
"""

import dataclasses
import importlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from flamingo_jax import config as config_lib
from flamingo_jax.config import ConfigError

FREE, ALTERS, REFUSED = "free", "alters", "refused"

# Of every field, by its place in `RunConfig`; the first pattern that matches all of it decides.
KINDS = (
    (r"health/spike.*", ALTERS),  # which updates are applied
    (r"(mesh|checkpoints|health|evaluations)(/.*)?", FREE),
    (r"(joined|microbatches|loss_chunk|image_chunk|compiler_options)(/.*)?", FREE),
    (r"log_every|steps", FREE),
    (r"mixture/(workers|threads|prefetch|max_skip_rate|io_retries|io_retry_seconds)", FREE),
    # A checkpoint has the fingerprint of what these files hold. The tokenizer has none.
    (r"pretrained/(language|vision|flamingo|frozen_dtype)", FREE),
    # How a model is computed, and not which one it is.
    (r"model/(.*/)?(attention|dtype|remat|unroll)", FREE),
    # Where parameters began: nothing any more, but the configuration would tell of a run that never was.
    (r"model/(.*/)?(\w+_init_std|gate_init|output_init_scale)", ALTERS),
    (r"model(/.*)?", REFUSED),
    # The optimizer keeps its state by label.
    (r"optimizer/policies/[^/]+", REFUSED),
    (r".*", ALTERS),
)
# Fields that are not free where another one, of either configuration, is not 0.
TIED = {"steps": "optimizer/cooldown_steps"}

HEADINGS = {
    REFUSED: "must stay as it was",
    ALTERS: "changes what is computed",
    FREE: "changes only how it is computed, watched or stored",
}
ABSENT = "(none)"
"""Stands for the value of what one of the two configurations does not have."""

_TYPE = config_lib.TYPE
_WIDTH = 60  # of a value in a description, about


@dataclasses.dataclass(frozen=True)
class Change:
    """One field with another value.

    Attributes:
      path: as gin files write it: `optimizer.OptimizerConfig.learning_rate`; of what stands under a name, as a dataset,
        with that name for a scope: `m3w/interleaved.InterleavedConfig.batch_size`.
      before, after: as `json.loads` gives them; `ABSENT`; of a part that is of another class, the classes' names.
      kind: FREE, ALTERS or REFUSED.
    """

    path: str
    before: Any
    after: Any
    kind: str


def changes(saved_json: str, now: Any) -> list[Change]:
    """What differs, in the order of the fields.

    Args:
      saved_json: the `RunConfig` of the checkpoint, as `config.to_json` wrote it. What it does not have yet had the
        default of today's class.
      now: the `RunConfig` of the run that goes on.
    """
    after = json.loads(config_lib.to_json(now))
    before = _with_defaults(json.loads(saved_json))
    return _differences(dict(_leaves(before)), dict(_leaves(after)))


def model_changes(before: Any, now: Any) -> list[Change]:
    """The same of two `FlamingoConfig`s, by the kinds that the fields of a run's model have."""
    sides = (dict(_leaves(json.loads(config_lib.to_json(config)), "model")) for config in (before, now))
    return _differences(*sides)


def describe(found: Sequence[Change]) -> str:
    """The changes as a person reads them: by kind, one a line, `path  before -> after`."""
    width = max((len(change.path) for change in found), default=0)
    lines = []
    for kind, heading in HEADINGS.items():
        group = [change for change in found if change.kind == kind]
        lines += [f"{heading}:"] * bool(group)
        for change in group:
            before, after = _in_short(_written(change.before), _written(change.after))
            lines.append(f"  {change.path:<{width}}  {before} -> {after}")
    return "\n".join(lines)


def check(found: Sequence[Change], accepted: bool) -> None:
    """Refuses to go on from a checkpoint with a configuration that is not its own.

    Args:
      found: from `changes`.
      accepted: whether the user has said that another run is meant.

    Raises:
      ConfigError: with the changes and what to do about them.
    """
    refused = [change for change in found if change.kind == REFUSED]
    if refused:
        raise ConfigError(
            f"the checkpoint is of another model or optimizer\n{describe(refused)}\n"
            "Undo this, or start in another workdir (RunConfig.initial takes over the parameters that fit)"
        )
    altered = [change for change in found if change.kind == ALTERS]
    if altered and not accepted:
        raise ConfigError(
            f"this is not the run that the checkpoint is of\n{describe(altered)}\n"
            "Undo this; or go on with the new values, with --accept_changes; or start in another workdir"
        )


def _differences(before: Mapping[str, tuple[str, Any]], after: Mapping[str, tuple[str, Any]]) -> list[Change]:
    """Of two tables from `_leaves`."""
    found, whole = [], set()
    for place in [*after, *(place for place in before if place not in after)]:
        then, now = (table.get(place, ("", ABSENT))[1] for table in (before, after))
        # Of a part that is of another class, or that only one of the two has, this alone is said.
        if any(parent in whole for parent in _parents(place)) or _same(then, now):
            continue
        parent = after.get(place.rpartition("/")[0], ("", None))[1]
        if not isinstance(now, _Names):
            whole.add(place)
        if isinstance(parent, _Names) and ABSENT in (then, now):
            continue  # the list of names has said so
        written = (after.get(place) or before[place])[0]
        found.append(Change(written, then, now, _kind(place, before, after)))
    return found


class _Names(list):
    """Of the parts in a list."""


def _same(one: Any, other: Any) -> bool:
    return one == other or json.dumps(one) == json.dumps(other)  # a NaN is not equal to itself


def _kind(place: str, *sides: Mapping[str, tuple[str, Any]]) -> str:
    if place in TIED and any(side.get(TIED[place], ("", 0))[1] for side in sides):
        return ALTERS
    return next(kind for pattern, kind in KINDS if re.fullmatch(pattern, place))


def _parents(place: str) -> Iterator[str]:
    while "/" in place:
        place = place.rpartition("/")[0]
        yield place


def _leaves(
    node: Any, place: str = "", written: str = "RunConfig", scope: str = ""
) -> Iterator[tuple[str, tuple[str, Any]]]:
    """(place, (as gin writes it, value)) of every field of a saved configuration.

    A part has a row of its own, before its fields: the name of its class. So has a list of parts: their names.
    """
    if parts := _named(node):
        yield place, (written, _Names(parts))
        node = parts
    if not isinstance(node, dict):
        yield place, (written, node)
    elif _TYPE not in node:
        for name, value in node.items():
            yield from _leaves(value, f"{place}/{name}", f"{written}[{name!r}]", f"{name}/")
    else:
        module, kind = node[_TYPE].split(".")[-2:]
        if place:
            yield place, (written, kind)
        for name, value in node.items():
            if name != _TYPE:
                at = f"{place}/{name}" if place else name
                yield from _leaves(value, at, f"{scope}{module}.{kind}.{name}", scope)


def _named(node: Any) -> dict[str, Any]:
    """A list of parts by name, as of datasets, or else by number; empty if it is none, or two have one name."""
    if not isinstance(node, list):
        return {}
    if all(isinstance(entry, dict) and _TYPE in entry for entry in node):
        return {str(number): part for number, part in enumerate(node)}
    pairs = all(isinstance(entry, list) and len(entry) == 2 and isinstance(entry[1], dict) for entry in node)
    found = {str(name): part for name, part in node} if pairs else {}
    return found if len(found) == len(node) else {}


def _with_defaults(node: Any) -> Any:
    """A saved configuration with the fields that its classes have got since."""
    if isinstance(node, list):
        return list(map(_with_defaults, node))
    if not isinstance(node, dict):
        return node
    found = {name: _with_defaults(value) for name, value in node.items()}
    for field in _fields(node.get(_TYPE, "")):
        if field.name not in found:
            default = field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
            if default is not dataclasses.MISSING:
                found[field.name] = json.loads(config_lib.to_json(default))
    return found


def _fields(written: str) -> tuple[dataclasses.Field, ...]:
    """Those of a configuration's class; none if there is no such class any more."""
    module, _, name = written.rpartition(".")
    if not module.startswith("flamingo_jax."):
        return ()
    try:
        return dataclasses.fields(getattr(importlib.import_module(module), name))
    except (ImportError, AttributeError, TypeError):
        return ()


def _written(value: Any) -> str:
    """A value as gin files write it."""
    if value is ABSENT:
        return ABSENT
    if isinstance(value, list):
        return f"({', '.join(map(_written, value))}{',' * (len(value) == 1)})"
    return repr(value)


def _in_short(before: str, after: str) -> tuple[str, str]:
    """Both texts; of long ones, what stands around the place where they part."""
    if max(len(before), len(after)) <= _WIDTH:
        return before, after
    start = _common(before, after)
    end = _common(before[start:][::-1], after[start:][::-1])
    first, last = start - _WIDTH // 4, end - _WIDTH // 4
    return _cut(before, first, len(before) - last), _cut(after, first, len(after) - last)


def _common(one: str, other: str) -> int:
    """With how many same characters both begin."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((place for place, (a, b) in pairs if a != b), min(len(one), len(other)))


def _cut(text: str, start: int, end: int) -> str:
    """`text[start:end]`, with dots for what is left out; the middle of a long one as well."""
    start = start if start > len("...") else 0
    end = end if end < len(text) - len("...") else len(text)
    part = text[start:end]
    if len(part) > 2 * _WIDTH:
        part = f"{part[:_WIDTH]} ... {part[-_WIDTH:]}"
    return "..." * (start > 0) + part + "..." * (end < len(text))
