"""Configuration: gin files in, one tree of frozen dataclasses out, and that tree as an `ml_collections.ConfigDict`.

Library code knows no gin. Gin files use dynamic registration, so they import what they bind:

    from __gin__ import dynamic_registration
    from flamingo_jax.models import flamingo

    flamingo.FlamingoConfig.cross_attention_every = 4
"""

import dataclasses
import importlib
import json
from typing import Any

import ml_collections

import gin

_TYPE = "_type"


class ConfigError(ValueError):
    """What the user configured cannot be used; the message says what, where and what to do."""


def resolve(cls: type, gin_files: list[str], bindings: list[str]) -> Any:
    """Builds `cls` from gin files and extra bindings (`"NAME=VALUE"`), in that order.

    Raises:
      ConfigError: a file is missing, a name is misspelt, a value does not parse, a required field is not bound, or a
        binding is used by nothing (gin itself would ignore it in silence).
    """
    gin.clear_config()
    try:
        with gin.unlock_config():
            gin.parse_config_files_and_bindings(gin_files, bindings or None, print_includes_and_imports=False)
            made = gin.get_configurable(cls)()
    except (OSError, ValueError, TypeError, SyntaxError, NameError, AttributeError, ImportError, RuntimeError) as error:
        if isinstance(error, ConfigError):
            raise
        message = " ".join(str(error).split())
        raise ConfigError(
            f"cannot build the configuration from {', '.join(gin_files) or 'bindings'}: {message}"
        ) from error
    unused = _bound() - _used()
    if unused:
        raise ConfigError(
            f"these bindings are used by nothing: {', '.join(sorted(unused))}. "
            "Is the scope or the class right, and does a reference (@scope/Class()) build it?"
        )
    return made


def _bound() -> set[str]:
    return {
        f"{scope + '/' if scope else ''}{name}.{parameter}" for scope, name, parameter in _entries(gin.config._CONFIG)
    }


def _used() -> set[str]:
    return {
        f"{scope + '/' if scope else ''}{name}.{parameter}"
        for scope, name, parameter in _entries(gin.config._OPERATIVE_CONFIG)
    }


def _entries(config: dict) -> list[tuple[str, str, str]]:
    return [(scope, name, key) for (scope, name), values in config.items() for key in values if name != "gin.macro"]


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
        return {_TYPE: f"{type(value).__module__}.{type(value).__qualname__}"} | fields
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
    fields = {key: _decode(entry) for key, entry in value.items() if key != _TYPE}
    if _TYPE not in value:
        return fields
    module, _, name = value[_TYPE].rpartition(".")
    if not module.startswith("flamingo_jax."):
        raise ConfigError(f"{value[_TYPE]} is not a class of this package: this config was not written by it")
    try:
        return getattr(importlib.import_module(module), name)(**fields)
    except (ImportError, AttributeError, TypeError) as error:
        raise ConfigError(f"cannot rebuild {value[_TYPE]} from a saved config: {error}") from error
