"""The settings of a builder as its --help lists them: what --gin can bind, with defaults."""

import dataclasses
import inspect
import re
import textwrap
from collections.abc import Iterator
from typing import Any

_WIDTH = 110


def listing(config: Any) -> str:
    """One paragraph a class, one line a field.

    Args:
      config: an instance with the defaults; the dataclasses in it are listed too, each once.
    """
    lines = ["settings, with their defaults; --gin='CLASS.field=VALUE' sets one:"]
    for one in _classes(config, set()):
        own = [field for field in dataclasses.fields(one) if not dataclasses.is_dataclass(getattr(one, field.name))]
        if not own:
            continue
        lines += ["", f"  {type(one).__name__}: {_first_line(type(one))}"]
        explained = _explanations(type(one))
        for field in own:
            text = field.metadata.get("help") or explained.get(field.name, "")
            value = textwrap.shorten(repr(getattr(one, field.name)), 60, placeholder=" ...")
            head = f"    {field.name} = {value}"
            lines.append(textwrap.shorten(f"{head.strip()}: {text}" if text else head.strip(), 400, placeholder=" ..."))
            lines[-1] = textwrap.fill(lines[-1], _WIDTH, initial_indent="    ", subsequent_indent="        ")
    return "\n".join(lines)


def _classes(config: Any, seen: set[type]) -> Iterator[Any]:
    if type(config) in seen:
        return
    seen.add(type(config))
    yield config
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            yield from _classes(value, seen)


def _first_line(cls: type) -> str:
    return (cls.__doc__ or "").strip().partition("\n")[0]


def _explanations(cls: type) -> dict[str, str]:
    """What the "Attributes" of a docstring say of each field."""
    _, _, attributes = inspect.cleandoc(cls.__doc__ or "").partition("Attributes:\n")  # Python 3.13 indents less
    found: dict[str, str] = {}
    for entry in re.split(r"\n(?=  \w)", "\n" + attributes.partition("\n\n")[0]):
        names, colon, text = entry.strip().partition(": ")
        if colon and re.fullmatch(r"\w+(, \w+)*", names):
            found |= dict.fromkeys(names.split(", "), " ".join(text.split()))
    return found
