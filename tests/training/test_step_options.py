"""How a step is computed changes nothing in what it computes: microbatches, chunks, remat; and what it holds."""

import dataclasses
import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import traverse_util

from flamingo_jax.models.flamingo import Flamingo, FlamingoConfig
from flamingo_jax.models.remat import POLICIES
from flamingo_jax.training.freezing import PAPER_RULES, label, split
from flamingo_jax.training.state import TrainState, abstract_params, flat_shapes
from flamingo_jax.training.step import LossConfig, StepOptions, make_step
from tests import tiny

# Four layers are two groups, one block and no tail; the encoder has a single block: that much less to compile.
TINY = tiny.config(
    language=dataclasses.replace(tiny.LANGUAGE, num_layers=4),
    vision=dataclasses.replace(tiny.VISION, groups=tiny.VISION.groups[:1]),
)
SGD = optax.sgd(1.0)  # the update is minus the gradient
WEIGHTS = {"m3w": 1.0, "pairs": 0.2}
BATCHES = {
    "m3w": tiny.random_batch(0, rows=4, length=12, images=3, frames=1),
    "pairs": tiny.random_batch(1, rows=6, length=7, images=1, frames=1),
}


def arguments(model: Flamingo) -> tuple[TrainState, dict]:
    labels = label(flat_shapes(abstract_params(model)), PAPER_RULES)
    trainable, frozen = split(tiny.init(model), labels)
    return TrainState(jnp.asarray(0), trainable, SGD.init(trainable)), frozen


def gradients(config: FlamingoConfig, options: StepOptions, batches: dict) -> tuple[dict, dict]:
    """The metrics of a step, and the gradient by path."""
    model = Flamingo(config)
    state, frozen = arguments(model)
    step = jax.jit(make_step(model, SGD, lambda count: 0.0, LossConfig(WEIGHTS), options))
    after, metrics = step(state, frozen, batches)
    before, after = (traverse_util.flatten_dict(params, sep="/") for params in (state.params, after.params))
    return {name: float(x) for name, x in metrics.items()}, {path: before[path] - after[path] for path in before}


# One dataset compiles in half the time.
ALONE = {"m3w": BATCHES["m3w"] | {"image_first": BATCHES["m3w"]["image_index"]}}


@pytest.fixture(scope="module")
def plain() -> tuple[dict, dict]:
    return gradients(TINY, StepOptions(), ALONE)


def assert_same(found: tuple[dict, dict], expected: tuple[dict, dict]) -> None:
    (metrics, gradient), (expected_metrics, expected_gradient) = found, expected
    for name, value in expected_metrics.items():
        assert metrics[name] == pytest.approx(value, rel=1e-5), name
    for path, value in expected_gradient.items():
        assert np.linalg.norm(value) > 0, path
        np.testing.assert_allclose(gradient[path], value, rtol=1e-4, atol=1e-5 * np.abs(value).max(), err_msg=path)


@pytest.mark.parametrize(
    "options",
    [
        StepOptions(microbatches={"m3w": 2}),
        StepOptions(loss_chunk=5),  # 12 positions are no multiple
        StepOptions(image_chunk=3),  # of 12 images
        StepOptions(image_ranges=False),
    ],
    ids=str,
)
def test_an_option_changes_nothing_but_memory(plain, options):
    assert_same(gradients(TINY, options, ALONE), plain)


@pytest.mark.parametrize("policy", [policy for policy in POLICIES if policy != "none"])
def test_a_remat_policy_changes_nothing_but_memory(plain, policy):
    assert_same(gradients(dataclasses.replace(TINY, remat=policy), StepOptions(), ALONE), plain)


def test_unrolled_layers_are_the_same_layers(plain):
    assert_same(gradients(dataclasses.replace(TINY, unroll=True, remat="matmuls"), StepOptions(), ALONE), plain)


@pytest.mark.slow
def test_nor_do_options_of_two_datasets():
    expected = gradients(tiny.CONFIG, StepOptions(), BATCHES)
    for options in (
        StepOptions(microbatches={"m3w": 2, "pairs": 3}),
        StepOptions(microbatches={"pairs": 2}, loss_chunk=1),
        StepOptions(image_chunk=3),  # of 12 + 6 images
    ):
        assert_same(gradients(tiny.CONFIG, options, BATCHES), expected)


@pytest.mark.slow
@pytest.mark.parametrize("policy", [policy for policy in POLICIES if policy != "none"])
def test_nor_does_it_beside_the_scan(policy):
    """Five layers and the first without a block: bare ones, groups and a tail, whose block is in no scan."""
    config = tiny.config(cross_attention_first=2)
    expected = gradients(config, StepOptions(), ALONE)
    assert_same(gradients(dataclasses.replace(config, remat=policy), StepOptions(), ALONE), expected)


def test_an_unknown_policy_is_refused():
    with pytest.raises(ValueError, match="one of 'none', 'matmuls', 'attention', 'full', got 'most'"):
        tiny.config(remat="most")


FEW, MANY = 11, 41  # layers


@functools.cache
def compiled(layers: int, **changes) -> tuple[jax.stages.Compiled, Flamingo]:
    """A step of groups of three layers and two layers more."""
    language = dataclasses.replace(tiny.LANGUAGE, num_layers=layers)
    model = Flamingo(dataclasses.replace(TINY, language=language, cross_attention_every=3, **changes))
    state, frozen = arguments(model)
    step = jax.jit(make_step(model, SGD, lambda count: 0.0, LossConfig(WEIGHTS)), donate_argnums=0)
    return step.lower(state, frozen, {"m3w": BATCHES["m3w"]}).compile(), model


@pytest.mark.slow
@pytest.mark.parametrize("changes", [{}, {"unroll": True}], ids=str)
def test_the_program_does_not_grow_with_depth(changes):
    few, many = (len(compiled(layers, **changes)[0].as_text()) for layers in (FEW, MANY))
    assert many < 1.05 * few


def test_frozen_weights_have_no_gradient():
    """Of the shape of a stack of frozen weights the program makes nothing: it only reads what it is given."""
    program, model = compiled(FEW)
    shapes = flat_shapes(abstract_params(model))
    frozen = [path for path, name in label(shapes, PAPER_RULES).items() if name == "frozen"]
    trained = {shapes[path].shape for path in shapes if path not in frozen}
    stacks = {shapes[path].shape for path in frozen if "kernel" in path and len(shapes[path].shape) > 3} - trained
    assert len(stacks) >= 4
    made = re.findall(r"= f32\[([\d,]+)\]\S* (\w[\w-]*)\(", program.as_text())
    for dims, opcode in made:
        if tuple(map(int, dims.split(","))) in stacks:
            assert opcode in ("parameter", "get-tuple-element", "bitcast", "copy"), (dims, opcode)


@pytest.mark.slow
def test_remat_saves_memory():
    changes = [{}, {"remat": "matmuls"}, {"remat": "full"}]
    sizes = [compiled(MANY, **change)[0].memory_analysis().temp_size_in_bytes for change in changes]
    assert sizes[0] > 1.1 * sizes[1] > 1.2 * sizes[2]
