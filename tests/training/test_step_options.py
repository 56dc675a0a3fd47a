"""How a step is computed changes nothing in what it computes: microbatches, chunks, remat; and what it holds."""

import dataclasses
import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import traverse_util

from flamingo_jax.models.flamingo import Flamingo
from flamingo_jax.models.remat import POLICIES
from flamingo_jax.training.freezing import PAPER_RULES, label, split
from flamingo_jax.training.state import TrainState, abstract_params, flat_shapes
from flamingo_jax.training.step import LossConfig, StepOptions, make_step
from tests import tiny

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


def gradients(model: Flamingo, options: StepOptions) -> tuple[dict, dict]:
    """The metrics of a step, and the gradient by path."""
    state, frozen = arguments(model)
    step = jax.jit(make_step(model, SGD, lambda count: 0.0, LossConfig(WEIGHTS), options))
    after, metrics = step(state, frozen, BATCHES)
    before, after = (traverse_util.flatten_dict(params, sep="/") for params in (state.params, after.params))
    return {name: float(x) for name, x in metrics.items()}, {path: before[path] - after[path] for path in before}


@pytest.fixture(scope="module")
def plain() -> tuple[dict, dict]:
    return gradients(Flamingo(tiny.CONFIG), StepOptions())


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
        StepOptions(microbatches={"m3w": 2, "pairs": 3}),
        StepOptions(loss_chunk=5),  # 12 and 7 positions are no multiples
        StepOptions(loss_chunk=1, microbatches={"pairs": 2}),
        StepOptions(image_chunk=3),  # of 12 + 6 images
        StepOptions(image_ranges=False),
    ],
    ids=str,
)
def test_an_option_changes_nothing_but_memory(plain, options):
    assert_same(gradients(Flamingo(tiny.CONFIG), options), plain)


@pytest.mark.parametrize("policy", [policy for policy in POLICIES if policy != "none"])
def test_a_remat_policy_changes_nothing_but_memory(plain, policy):
    assert_same(gradients(Flamingo(tiny.config(remat=policy)), StepOptions()), plain)


def test_an_unknown_policy_is_refused():
    with pytest.raises(ValueError, match="one of 'none', 'matmuls', 'attention', 'full', got 'most'"):
        tiny.config(remat="most")


def compiled(layers: int, **changes) -> tuple[jax.stages.Compiled, Flamingo]:
    language = dataclasses.replace(tiny.LANGUAGE, num_layers=layers)
    model = Flamingo(tiny.config(language=language, cross_attention_every=3, **changes))
    state, frozen = arguments(model)
    step = jax.jit(make_step(model, SGD, lambda count: 0.0, LossConfig(WEIGHTS)), donate_argnums=0)
    hasty = {"xla_backend_optimization_level": 0}
    return step.lower(state, frozen, {"m3w": BATCHES["m3w"]}).compile(compiler_options=hasty), model


def test_the_program_does_not_grow_with_depth():
    few, many = (len(compiled(layers)[0].as_text()) for layers in (16, 79))  # 5 groups of 3 and one layer; 26 and one
    assert many < 1.05 * few


def test_frozen_weights_have_no_gradient():
    """Of the shape of a stack of frozen weights the program makes nothing: it only reads what it is given."""
    program, model = compiled(11)
    shapes = flat_shapes(abstract_params(model))
    frozen = [path for path, name in label(shapes, PAPER_RULES).items() if name == "frozen"]
    trained = {shapes[path].shape for path in shapes if path not in frozen}
    stacks = {shapes[path].shape for path in frozen if "kernel" in path and len(shapes[path].shape) > 3} - trained
    assert len(stacks) >= 4
    made = re.findall(r"= f32\[([\d,]+)\]\S* (\w[\w-]*)\(", program.as_text())
    for dims, opcode in made:
        if tuple(map(int, dims.split(","))) in stacks:
            assert opcode in ("parameter", "get-tuple-element", "bitcast", "copy"), (dims, opcode)


def test_remat_saves_memory():
    sizes = [
        compiled(31, remat=policy)[0].memory_analysis().temp_size_in_bytes for policy in ("none", "matmuls", "full")
    ]
    assert sizes[0] > 1.1 * sizes[1] > 1.2 * sizes[2]
