"""Configs as gin files: the bindings that build a given tree of dataclasses."""

import collections
import dataclasses
from collections.abc import Iterator
from typing import Any


def gin_bindings(config: Any, target: str) -> str:
    """The text of a gin file that binds `target` to a reference which builds `config`.

    Every field is bound, those that have their default too: what other files bound before does not shine through. A
    class of which there are several different instances gets a scope for each
    (`block_group_1/efficientnet.BlockGroup.width = 8`).

    Args:
      config: a tree of frozen dataclasses with fields of plain types.
      target: what is bound, with its module: `flamingo_jax.training.run.RunConfig.model`.
    """
    instances = list(dict.fromkeys(_nodes(config)))
    counts = collections.Counter(type(node) for node in instances)
    scopes, numbers = {}, collections.Counter()
    for node in instances:
        numbers[type(node)] += 1
        several = counts[type(node)] > 1
        scopes[node] = f"{_snake(type(node).__name__)}_{numbers[type(node)]}/" if several else ""

    def written(value: Any) -> str:
        if dataclasses.is_dataclass(value):
            return f"@{scopes[value]}{_name(type(value))}()"
        if isinstance(value, tuple | list):
            inner = ", ".join(map(written, value))
            return f"({inner},)" if len(value) == 1 else f"({inner})"
        return repr(value)

    module, cls, field = target.rsplit(".", 2)
    modules = {module, *(type(node).__module__ for node in instances)}
    lines = ["from __gin__ import dynamic_registration"]
    for path in sorted(modules):
        package, _, name = path.rpartition(".")
        lines.append(f"from {package} import {name}")
    lines += ["", f"{module.rpartition('.')[2]}.{cls}.{field} = {written(config)}"]
    for node in instances:
        lines.append("")
        for field in dataclasses.fields(node):
            lines.append(f"{scopes[node]}{_name(type(node))}.{field.name} = {written(getattr(node, field.name))}")
    return "\n".join(lines) + "\n"


def _nodes(value: Any) -> Iterator[Any]:
    """The dataclasses in the tree, outer ones first."""
    if dataclasses.is_dataclass(value):
        yield value
        for field in dataclasses.fields(value):
            yield from _nodes(getattr(value, field.name))
    elif isinstance(value, tuple | list):
        for entry in value:
            yield from _nodes(entry)


def _name(cls: type) -> str:
    """As gin files of dynamic registration call it: the last part of the module, and the class."""
    return f"{cls.__module__.rpartition('.')[2]}.{cls.__qualname__}"


def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_")
