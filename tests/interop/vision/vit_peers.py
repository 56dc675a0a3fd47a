"""Tools of the tests of Vision Transformers: a peer's weights go through a weight map, as those of a file would."""

import functools
import json
from collections.abc import Mapping
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from flax import traverse_util

from flamingo_jax.interop.files.tensors import TensorSpec
from flamingo_jax.interop.vision import encoders
from flamingo_jax.interop.weight_map import WeightMap, check
from flamingo_jax.models.vision.vit import ViTConfig

GOLDENS = Path(__file__).parents[2] / "goldens"


class Golden:
    """A golden file: its arrays by name, and its JSON `configs`."""

    def __init__(self, name: str):
        with np.load(GOLDENS / f"{name}.npz") as file:
            self.arrays = {key: file[key] for key in file.files}
        self.configs = json.loads(str(self.arrays.pop("configs")))

    def __getitem__(self, name: str) -> np.ndarray:
        return self.arrays[name]

    def under(self, prefix: str) -> dict[str, np.ndarray]:
        """The arrays whose names begin with `prefix`, by what stands after it."""
        return {name.removeprefix(prefix): value for name, value in self.arrays.items() if name.startswith(prefix)}


@functools.cache
def canonical_shapes(config: ViTConfig) -> dict[str, tuple[int, ...]]:
    """The shape of every parameter, those of a layer apart from those of the others."""
    side = config.image_size
    image = jax.ShapeDtypeStruct((1, side, side, 3), jnp.uint8)
    tree = nn.meta.unbox(jax.eval_shape(config.make(jnp.float32).init, jax.random.key(0), image)["params"])
    shapes = {}
    for name, leaf in traverse_util.flatten_dict(tree, sep="/").items():
        if name.startswith("layers/"):
            rest = name.removeprefix("layers/")
            shapes |= {f"layers/{index}/{rest}": leaf.shape[1:] for index in range(config.num_layers)}
        else:
            shapes[name] = leaf.shape
    return shapes


def read(weights: Mapping[str, np.ndarray], weight_map: WeightMap, config: ViTConfig):
    """Parameters by canonical name, and the tensors that were dropped, each with the reason."""
    shapes = canonical_shapes(config)
    specs = {name: TensorSpec(value.shape, value.dtype) for name, value in weights.items()}
    dropped = check("file", specs, weight_map, shapes)
    ours = {}
    for rule in weight_map.rules:
        parts = rule.layout.to_ours(weights[rule.theirs], [shapes[name] for name in rule.ours])
        ours |= dict(zip(rule.ours, parts, strict=True))
    assert {name: value.shape for name, value in ours.items()} == shapes
    return ours, dropped


def features(config: ViTConfig, ours: Mapping[str, np.ndarray], *batches: np.ndarray) -> list[np.ndarray]:
    """What the encoder makes of each batch of images."""
    flat = {name: value for name, value in ours.items() if not name.startswith("layers/")}
    for name in ours:
        if name.startswith("layers/0/"):
            rest = name.removeprefix("layers/0/")
            stack = [ours[f"layers/{index}/{rest}"] for index in range(config.num_layers)]
            flat[f"layers/{rest}"] = np.stack(stack)
    params = {"params": traverse_util.unflatten_dict(flat, sep="/")}
    # Compiled in haste: each program runs once.
    apply = jax.jit(config.make(jnp.float32).apply, compiler_options={"xla_backend_optimization_level": 0})
    return [np.asarray(apply(params, batch)) for batch in batches]


def assert_close(found: np.ndarray, wanted: np.ndarray) -> None:
    """Within 1e-4 of the features' size, relative to the root mean square of the peer's."""
    assert found.shape == wanted.shape
    size = np.sqrt(np.mean(np.square(wanted)))
    np.testing.assert_allclose(found / size, wanted / size, rtol=0, atol=1e-4)


def assert_round_trip(weights: Mapping[str, np.ndarray], weight_map: WeightMap, config: ViTConfig) -> None:
    """Theirs to ours to theirs gives every tensor that is not dropped, with the same bits."""
    ours, dropped = read(weights, weight_map, config)
    for rule in weight_map.rules:
        back = rule.layout.to_theirs([ours[name] for name in rule.ours])
        assert back.dtype == weights[rule.theirs].dtype
        np.testing.assert_array_equal(back, weights[rule.theirs], err_msg=rule.theirs)
    assert {rule.theirs for rule in weight_map.rules} | dropped.keys() == weights.keys()
    assert encoders.find_encoder(list(weights), lambda name: weights[name].shape)
