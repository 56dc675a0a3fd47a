"""The goldens of the language models, and our decoder with their weights: what several tests need."""

import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax import traverse_util

from flamingo_jax.interop.canonical import flatten_shapes, places
from flamingo_jax.interop.language.families import Family, family_of
from flamingo_jax.interop.layouts import Shape
from flamingo_jax.interop.weight_map import WeightMap
from flamingo_jax.models.language.decoder import Decoder
from flamingo_jax.models.language.decoder_config import DecoderConfig
from flamingo_jax.models.language.layer import Context
from flamingo_jax.models.language.plan import LayerPlan
from flamingo_jax.models.masks import causal_mask

FOLDER = Path(__file__).parent / "goldens"
VARIANTS = {
    "llama": ("llama3", "tied", "biases"),
    "mistral": ("window",),
    "qwen2": ("window", "tied"),
    "qwen3": ("untied",),
    "gemma": ("tied",),
    "gemma2": ("tied",),
    "gemma3": ("tied",),
    "gpt_neox": ("parallel", "sequential"),
    "opt": ("tied", "no_bias"),
    "mpt": ("alibi", "clipped", "mosaic_gpt"),
    "gpt2": ("tied",),
}
CASES = tuple(f"{name}/{variant}" for name, variants in VARIANTS.items() for variant in variants)


class Golden(NamedTuple):
    """A tiny peer: its config.json, its tensors, and its logits `[paddings, 2, length, vocab]`, 0 at padding."""

    peer: dict[str, Any]
    tensors: dict[str, np.ndarray]
    tokens: np.ndarray
    masks: np.ndarray
    logits: np.ndarray

    @property
    def family(self) -> Family:
        return family_of(self.peer)

    @property
    def config(self) -> DecoderConfig:
        return self.family.from_hf(self.peer)

    @property
    def weights(self) -> WeightMap:
        return self.family.weight_map(self.config, self.tensors)


@functools.cache
def golden(case: str) -> Golden:
    """The golden `file/variant`."""
    name, variant = case.split("/")
    arrays = np.load(FOLDER / f"{name}.npz")
    prefix = f"{variant}/weights/"
    tensors = {key.removeprefix(prefix): arrays[key] for key in arrays.files if key.startswith(prefix)}
    peer = json.loads(str(arrays[f"{variant}/config"]))
    return Golden(peer, tensors, arrays["input_ids"], arrays["masks"], arrays[f"{variant}/logits"])


@functools.cache
def shapes(config: DecoderConfig) -> dict[str, Shape]:
    """The shape of each parameter by canonical name, from the module itself."""
    flat = flatten_shapes(_leaves(config), _plan(config))
    return {name.removeprefix("language_model/"): shape for name, shape in flat.items()}


def _leaves(config: DecoderConfig) -> dict[str, Shape]:
    tokens = jnp.zeros((1, 2), jnp.int32)
    variables = jax.eval_shape(_decoder(config).init, jax.random.key(0), tokens, context(tokens, np.ones((1, 2), int)))
    leaves = traverse_util.flatten_dict(nn.meta.unbox(variables)["params"], sep="/")
    return {f"language_model/{path}": leaf.shape for path, leaf in leaves.items()}


def parameters(config: DecoderConfig, weights: WeightMap, tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The parameters by canonical name."""
    found, wanted = {}, shapes(config)
    for rule in weights.rules:
        made = rule.layout.to_ours(tensors[rule.theirs], [wanted[name] for name in rule.ours])
        found |= dict(zip(rule.ours, made, strict=True))
    return found


def stacked(config: DecoderConfig, found: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Canonical parameters as the variables of a decoder without blocks."""
    where = places(_leaves(config), _plan(config))
    leaves: dict[str, dict[tuple[int, ...], np.ndarray]] = {}
    for name, array in found.items():
        path, index = where[f"language_model/{name}"]
        leaves.setdefault(path.removeprefix("language_model/"), {})[index] = array
    flat = {path: np.stack([at[i] for i in sorted(at)]) if () not in at else at[()] for path, at in leaves.items()}
    return {"params": traverse_util.unflatten_dict(flat, sep="/")}


def context(tokens: np.ndarray, segment_ids: np.ndarray) -> Context:
    """Positions count from 0 within each run of a segment; segment 0 is padding."""
    places = np.zeros(tokens.shape, np.int32)
    for column in range(1, tokens.shape[1]):
        same = segment_ids[:, column] == segment_ids[:, column - 1]
        places[:, column] = np.where(same & (segment_ids[:, column] > 0), places[:, column - 1] + 1, 0)
    return Context(places, causal_mask(segment_ids))


@functools.cache
def forward(config: DecoderConfig):
    """`forward(config)(variables, tokens, segment_ids)` gives logits; compiled once a shape."""
    apply = jax.jit(_decoder(config).apply)
    return lambda variables, tokens, segments: np.asarray(apply(variables, tokens, context(tokens, segments))[0])


def error(found: np.ndarray, expected: np.ndarray) -> float:
    """The largest difference over the largest expected number."""
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def _plan(config: DecoderConfig) -> LayerPlan:
    return LayerPlan(config.num_layers)


def _decoder(config: DecoderConfig) -> Decoder:
    return Decoder(config, _plan(config))
