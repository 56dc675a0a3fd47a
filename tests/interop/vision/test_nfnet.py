"""NFNets of timm and of DeepMind: features as the peers', exact round trips, and errors that name the tensors."""

import functools
import pathlib
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from flax.traverse_util import flatten_dict, unflatten_dict

from flamingo_jax.interop.canonical import flatten_shapes, places
from flamingo_jax.interop.files.tensors import TensorSpec, WeightsError, open_tensors
from flamingo_jax.interop.vision import nfnet_haiku, nfnet_timm
from flamingo_jax.interop.weight_map import check
from flamingo_jax.models.language.plan import LayerPlan
from flamingo_jax.models.vision.nfnet import VARIANTS, NFNetConfig

PREFIX, NO_PLAN = "vision_encoder/", LayerPlan(1)
GOLDENS = pathlib.Path(__file__).parents[2] / "goldens"
SCHEMES = {"timm": nfnet_timm, "haiku": nfnet_haiku}


@functools.cache
def golden(name: str) -> types.SimpleNamespace:
    arrays = np.load(GOLDENS / f"nfnet_{name}.npz")
    if name == "timm":
        weights = {key.removeprefix("weights/"): arrays[key] for key in arrays if key.startswith("weights/")}
    else:
        with open_tensors(GOLDENS / "nfnet_haiku_weights.npz") as file:
            weights = dict(file)
    shapes = {key: tensor.shape for key, tensor in weights.items()}
    config = SCHEMES[name].from_tensors(shapes)
    return types.SimpleNamespace(
        images=arrays["images"],
        features=arrays["features"],
        weights=weights,
        shapes=shapes,
        specs=specs_of(weights),
        config=config,
        map=SCHEMES[name].weight_map(config, weights),
        ours=our_shapes(config),
    )


def specs_of(weights) -> dict[str, TensorSpec]:
    return {name: TensorSpec(tensor.shape, tensor.dtype) for name, tensor in weights.items()}


@functools.cache
def our_shapes(config: NFNetConfig) -> dict[str, tuple[int, ...]]:
    """By canonical name."""
    return {name.removeprefix(PREFIX): shape for name, shape in flatten_shapes(stacked(config), NO_PLAN).items()}


@functools.cache
def stacked(config: NFNetConfig) -> dict[str, tuple[int, ...]]:
    """The shapes of the model's leaves, by their paths within a whole model."""
    images = jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.uint8)
    variables = nn.meta.unbox(jax.eval_shape(config.make(jnp.float32).init, jax.random.key(0), images))
    return {f"{PREFIX}{path}": leaf.shape for path, leaf in flatten_dict(variables["params"], sep="/").items()}


def to_ours(peer) -> dict[str, np.ndarray]:
    params = {}
    for rule in peer.map.rules:
        shapes = [peer.ours[name] for name in rule.ours]
        params |= dict(zip(rule.ours, rule.layout.to_ours(peer.weights[rule.theirs], shapes), strict=True))
    return params


def to_variables(config: NFNetConfig, params) -> dict[str, dict]:
    """Parameters by canonical name as the model holds them."""
    leaves = {path: np.full(shape, np.nan, np.float32) for path, shape in stacked(config).items()}
    for name, (path, index) in places(stacked(config), NO_PLAN).items():
        leaves[path][index] = params[name.removeprefix(PREFIX)]
    flat = {path.removeprefix(PREFIX): leaf for path, leaf in leaves.items()}
    return {"params": unflatten_dict(flat, sep="/")}


@pytest.mark.parametrize("name", SCHEMES)
def test_features_are_the_peers(name):
    peer = golden(name)
    params = to_ours(peer)
    assert {key: value.shape for key, value in params.items()} == peer.ours
    apply = jax.jit(peer.config.make(jnp.float32).apply)
    features = apply(to_variables(peer.config, params), peer.images)
    batch, height, width, channels = peer.features.shape
    assert features.shape == (batch, height * width, channels) and channels == peer.config.output_width
    error = np.abs(features - peer.features.reshape(features.shape)).max() / np.abs(peer.features).max()
    assert error < 1e-5


@pytest.mark.parametrize("name", SCHEMES)
def test_in_and_out_is_bit_identical_and_drops_the_head_alone(name):
    peer = golden(name)
    dropped = check("file", peer.specs, peer.map, peer.ours)
    assert (
        set(dropped)
        == {
            "timm": {"head.fc.weight", "head.fc.bias"},
            "haiku": {"NFNet/~/linear/w", "NFNet/~/linear/b"},
        }[name]
    )
    assert all("classifies" in reason for reason in dropped.values())
    params = to_ours(peer)
    back = {rule.theirs: rule.layout.to_theirs([params[ours] for ours in rule.ours]) for rule in peer.map.rules}
    assert back.keys() | dropped.keys() == peer.weights.keys()
    for key, tensor in back.items():
        assert (tensor.dtype, tensor.shape) == (peer.weights[key].dtype, peer.weights[key].shape)
        np.testing.assert_array_equal(tensor, peer.weights[key], err_msg=key)


@pytest.mark.parametrize("name", SCHEMES)
def test_a_file_that_does_not_fit_is_one_error_with_names(name):
    peer = golden(name)
    missing, misshapen = peer.map.rules[0].theirs, peer.map.rules[-1].theirs
    specs = {key: spec for key, spec in peer.specs.items() if key != missing}
    specs |= {misshapen: TensorSpec((5,), np.dtype(np.float32)), "momentum": TensorSpec((5,), np.dtype(np.float32))}
    with pytest.raises(WeightsError) as caught:
        check("the/file", specs, peer.map, peer.ours)
    message = str(caught.value)
    assert "the/file" in message and f"missing: {missing}" in message
    assert "no place in the model: momentum" in message and f"wrong shape: {misshapen} is (5,)" in message


@pytest.mark.parametrize("name", SCHEMES)
def test_the_config_of_every_variant_follows_from_its_tensors(name):
    for variant in ("F0", "F6"):
        config, ours = VARIANTS[variant], our_shapes(VARIANTS[variant])
        rules = SCHEMES[name].weight_map(config).rules
        shapes = {rule.theirs: rule.layout.their_shape([ours[key] for key in rule.ours]) for rule in rules}
        assert SCHEMES[name].from_tensors(shapes, "deepmind") == config
        if (name, variant) == ("timm", "F6"):
            assert len(shapes) == 1455  # of timm's state dict
            assert shapes["stages.3.20.attn_last.fc1.weight"] == (768, 1536, 1, 1)
        if (name, variant) == ("haiku", "F0"):
            assert len({key.rpartition("/")[0] for key in shapes}) == 93  # of the published file's 94 modules


def test_the_function_belongs_to_the_peer():
    timm, deepmind = golden("timm").config, golden("haiku").config
    assert (timm.depths, timm.widths, timm.group_width) == ((1, 2, 3, 1), (16, 32, 48, 48), 8)
    assert (timm.activation, timm.variance_eps, timm.variance_floor) == ("gelu", 1e-5, 0)
    assert (deepmind.activation, deepmind.variance_eps, deepmind.variance_floor) == ("gelu_tanh", 0, 1e-4)
    assert (deepmind.depths, deepmind.stem_widths) == ((1, 1, 2, 1), (16, 32, 64, 8))


@pytest.mark.parametrize(("name", "prefix"), [("timm", "state_dict."), ("haiku", "params/")])
def test_tensors_below_a_prefix(name, prefix):
    peer = golden(name)
    specs = {prefix + key: spec for key, spec in peer.specs.items()}
    shapes = {key: spec.shape for key, spec in specs.items()}
    assert SCHEMES[name].from_tensors(shapes) == peer.config
    assert len(check("file", specs, SCHEMES[name].weight_map(peer.config, shapes), peer.ours)) == 2


@pytest.mark.parametrize("name", SCHEMES)
def test_no_config_from_other_tensors(name):
    peer = golden(name)
    with pytest.raises(WeightsError, match=r"unknown recipe 'exact'.*deepmind, timm"):
        SCHEMES[name].from_tensors(peer.shapes, "exact")
    with pytest.raises(WeightsError, match="no block among the tensors"):
        SCHEMES[name].from_tensors({"conv1.weight": (3, 3)})
    with pytest.raises(WeightsError, match=r"no tensor .*stem.conv.* not the tensors of an NFNet"):
        SCHEMES[name].from_tensors({key: shape for key, shape in peer.shapes.items() if "stem" not in key})
