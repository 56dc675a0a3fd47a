"""Our own folders of weights: a whole Flamingo, a language model or a vision encoder, with the config that it needs.

    config.json                     {"format": "flamingo-jax", "version": 1, "model": the config, ...}
    model.safetensors               or shards and model.safetensors.index.json
    model.gin                       bindings that build the same config
    tokenizer.json, ...             as they came with the language model

Tensors stand under canonical names (`interop.canonical`) in the layout of our modules. `config.json` is written last:
a folder without it is incomplete.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from etils import epath

from flamingo_jax import config as config_lib
from flamingo_jax.interop.files.tensors import WeightsError
from flamingo_jax.interop.layouts import Plain
from flamingo_jax.interop.weight_map import Drop, Rule, WeightMap

FORMAT, VERSION = "flamingo-jax", 1
LANGUAGE, VISION = "language_model/", "vision_encoder/"


def read_config(folder: epath.Path) -> Any:
    """The config of the model: `FlamingoConfig`, `DecoderConfig`, or that of a vision encoder.

    Raises:
      WeightsError: the folder is incomplete, of another version, or its config cannot be built.
    """
    facts = _read(folder)
    try:
        return config_lib.from_config_dict(facts["model"])
    except (config_lib.ConfigError, KeyError) as error:
        raise WeightsError(
            f"{folder / 'config.json'} holds no config that can be built ({error}); convert the weights again"
        ) from error


def read_forms(folder: epath.Path) -> dict[str, str]:
    """What the parts were called where they came from: the family of `language`, the naming scheme of `vision`."""
    return dict(_read(folder).get("forms", {}))


def _read(folder: epath.Path) -> dict[str, Any]:
    path = folder / "config.json"
    try:
        facts = json.loads(path.read_text())
    except FileNotFoundError:
        raise WeightsError(f"{folder} is no complete folder of weights: it has no config.json") from None
    except ValueError as error:
        raise WeightsError(f"{path} is damaged ({error}); convert the weights again") from error
    if not isinstance(facts, dict) or facts.get("format") != FORMAT:
        raise WeightsError(f'{path} is not of this package: it has no "format": "{FORMAT}"')
    if facts.get("version") != VERSION:
        raise WeightsError(
            f"{path} has version {facts.get('version')} of the format, this package reads {VERSION}: "
            "convert the weights again"
        )
    return facts


def config_json(model: Any, facts: Mapping[str, Any]) -> dict[str, Any]:
    """The content of `config.json`.

    Args:
      model: the config.
      facts: more to note: `forms`, and the ids of the tokenizer's ends.
    """
    return {"format": FORMAT, "version": VERSION, **facts, "model": json.loads(config_lib.to_json(model))}


def weight_map(names: Iterable[str], drops: Iterable[Drop] = ()) -> WeightMap:
    """Every parameter under its own name, in its own layout."""
    return WeightMap(tuple(Rule(name, (name,), Plain()) for name in names), tuple(drops))
