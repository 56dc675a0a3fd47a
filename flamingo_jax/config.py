"""Configuration: gin files in, one tree of frozen dataclasses out, and that tree as an `ml_collections.ConfigDict`.

Library code knows no gin. Gin files use dynamic registration, so they import what they bind:

    from __gin__ import dynamic_registration
    from flamingo_jax.models import flamingo

    flamingo.FlamingoConfig.cross_attention_every = 4
"""

import contextlib
import dataclasses
import importlib
import json
import logging
import re
import textwrap
import tokenize
from collections.abc import Iterator, Sequence
from typing import Any

import ml_collections

import gin

TYPE = "_type"


class ConfigError(ValueError):
    """What the user configured cannot be used; the message says what, where and what to do."""


def resolve(cls: type, gin_files: Sequence[str], bindings: Sequence[str]) -> Any:
    """Builds `cls` from gin files and extra bindings (`"NAME=VALUE"`), in that order.

    Raises:
      ConfigError: a file is missing, a name is misspelt, a value does not parse, a required field is not bound, or a
        binding is used by nothing (gin itself would ignore it in silence).
    """
    gin.clear_config()
    try:
        with gin.unlock_config(), _gin_log_off():
            gin.parse_config_files_and_bindings(gin_files, bindings or None, print_includes_and_imports=False)
            made = gin.get_configurable(cls)()
    except Exception as error:
        if isinstance(error, ConfigError):  # says all that there is to say; gin appends where it was called
            raise ConfigError(str(error).partition("\n  In call to configurable")[0]) from error
        source = ", ".join(gin_files) or "no gin file"
        raise ConfigError(f"cannot build the configuration from {source}: {_in_short(error)}") from error
    if unused := _unused():
        listed = ", ".join(unused[:8]) + (f" and {len(unused) - 8} more" if len(unused) > 8 else "")
        raise ConfigError(
            f"nothing uses {'this binding' if len(unused) == 1 else 'these bindings'}: {listed}. "
            "Is the class or the scope right, does a reference build it (@Class() or @scope/Class()), "
            "and does no binding of an inner scope take its place?"
        )
    return made


@contextlib.contextmanager
def _gin_log_off() -> Iterator[None]:
    """Without the line that gin logs, on the root logger, about a missing file: its exception says it as well."""

    def other(record: logging.LogRecord) -> bool:
        return record.module != "resource_reader"

    root = logging.getLogger()
    root.addFilter(other)
    try:
        yield
    finally:
        root.removeFilter(other)


def _in_short(error: Exception) -> str:
    """One line that says what is wrong and where, without the state that gin appends."""
    if isinstance(error, tokenize.TokenError):
        return f"a bracket or string is opened, but not closed before line {error.args[1][0]}"
    if isinstance(error, SyntaxError):
        reason = " ".join(re.sub(r"malformed node or string.*: <.*>", "", error.msg).split())
        text = f": {error.text.strip()}" if error.text else ""
        return f"{reason} In {error.filename or 'the extra bindings'}, line {error.lineno}{text}"
    message = str(error)
    scope = re.search(r"In call to configurable .* in scope '(.*)'", message)
    for addition in ("\n  No values supplied", "\n  In call to configurable", " in config string:"):
        message = message.partition(addition)[0]
    message = re.sub(r"\.__init__\(\) missing \d+ required [\w -]*arguments?:", " needs a binding of", message)
    message = re.sub(r"Searched config paths: .*?\]\.", "Paths begin in the current folder.", message)
    message = re.sub(r"Could not find <class '(.*)'> in the Gin registry.", r"nothing there configures \1", message)
    message = message.replace("In bindings string line", "In the extra bindings, line")
    where = f" (in scope {scope[1]!r})" if scope else ""
    return textwrap.shorten(message, 400, placeholder=" ...") + where


def _unused() -> list[str]:
    """The bindings that no call took a value from. A call in scope `a/b` takes it from `a/b`, else `a`, else none."""
    bound = {(scope, name, key) for (scope, name), values in gin.config._CONFIG.items() for key in values}
    used = set()
    for called_in, name in gin.config._OPERATIVE_CONFIG:
        parts = called_in.split("/") if called_in else []
        scopes = ["/".join(parts[:end]) for end in range(len(parts), -1, -1)]
        for key in {key for _, other, key in bound if other == name}:
            used.add(next(((scope, name, key) for scope in scopes if (scope, name, key) in bound), None))
    return sorted(_written(*binding) for binding in bound - used)


def _written(scope: str, name: str, key: str) -> str:
    """A binding's name as gin files write it: `scope/module.Class.field`, or a macro's name alone."""
    if name == "gin.macro":
        return scope
    return f"{scope}/" * bool(scope) + ".".join([*name.split(".")[-2:], key])


def to_config_dict(config: Any) -> ml_collections.ConfigDict:
    """A tree of dataclasses as a ConfigDict; each node's class is kept under `_type`."""
    return ml_collections.ConfigDict(_encode(config), convert_dict=True)


def from_config_dict(config: Any) -> Any:
    """The inverse of `to_config_dict` (also takes plain dicts, as `json.loads` returns them).

    Raises:
      ConfigError: a class or field is not known, as with a config of another version.
    """
    return _decode(config.to_dict() if isinstance(config, ml_collections.ConfigDict) else config)


def to_json(config: Any) -> str:
    """`to_config_dict` as JSON text."""
    return json.dumps(_encode(config), indent=1)


def _encode(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        fields = {field.name: _encode(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return {TYPE: f"{type(value).__module__}.{type(value).__qualname__}"} | fields
    if isinstance(value, (list, tuple)):
        return [_encode(entry) for entry in value]
    if isinstance(value, dict):
        return {key: _encode(entry) for key, entry in value.items()}
    return value


def _decode(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return tuple(_decode(entry) for entry in value)
    if not isinstance(value, dict):
        return value
    fields = {key: _decode(entry) for key, entry in value.items() if key != TYPE}
    if TYPE not in value:
        return fields
    module, _, name = value[TYPE].rpartition(".")
    if not module.startswith("flamingo_jax."):
        raise ConfigError(f"{value[TYPE]} is not a class of this package: this config was not written by it")
    try:
        found = getattr(importlib.import_module(module), name)
        if not dataclasses.is_dataclass(found):
            raise TypeError("it is not a configuration class")
        return found(**fields)
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise ConfigError(f"cannot rebuild {value[TYPE]} from a saved config: {error}") from error
