"""One update: the loss against plain NumPy, and the gradient against the whole sum at once and finite differences."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import traverse_util

from flamingo_jax.models.flamingo import Flamingo
from flamingo_jax.models.losses import token_losses
from flamingo_jax.training.freezing import FROZEN, PAPER_RULES, label, split
from flamingo_jax.training.state import TrainState, abstract_params, flat_shapes
from flamingo_jax.training.step import LossConfig, StepOptions, gates, make_step, model_inputs
from tests import tiny

VOCABULARY, WIDTH = 11, 5
SGD = optax.sgd(1.0)  # the update is minus the gradient


class Bigrams:
    """Stands where a Flamingo stands, small enough to compute by hand: logits of a token from the one before it."""

    def apply(self, variables: dict, tokens, image_index, loss_chunk=None, **others):
        params = variables["params"]
        states = jnp.tanh(params["trained"]["table"][tokens] + params["fixed"]["bias"] * image_index[..., None])
        logits = states @ params["fixed"]["outputs"]
        return logits if loss_chunk is None else from_logits(logits, tokens)


def from_logits(logits, tokens):
    return token_losses(lambda x: [x], logits, tokens)


def parts(seed: int = 0) -> tuple[dict, dict]:
    """Trainable and frozen parameters of `Bigrams`."""
    rng = np.random.default_rng(seed)
    table, outputs = rng.normal(size=(VOCABULARY, WIDTH)), 2 * rng.normal(size=(WIDTH, VOCABULARY))
    frozen = {"outputs": outputs.astype(np.float32), "bias": rng.normal(size=WIDTH).astype(np.float32)}
    return {"trained": {"table": table.astype(np.float32)}}, {"fixed": frozen}


def batch(seed: int, rows: int, length: int, share: float = 0.6) -> dict:
    rng = np.random.default_rng(seed)
    mask = rng.random((rows, length)) < share
    mask[:, 0] = False
    return {
        "tokens": rng.integers(0, VOCABULARY, (rows, length)).astype(np.int32),
        "segment_ids": np.ones((rows, length), np.int32),
        "image_index": rng.integers(0, 3, (rows, length)).astype(np.int32),
        "loss_mask": mask,
    }


def numpy_loss(trainable: dict, frozen: dict, part: dict) -> tuple[float, int]:
    """Sum over the targets of -log softmax, and their number, in float64 and one token at a time."""
    table, fixed = trainable["trained"]["table"].astype(np.float64), frozen["fixed"]
    total, count = 0.0, 0
    for row, tokens in enumerate(part["tokens"]):
        for place in range(1, len(tokens)):
            if part["loss_mask"][row, place]:
                states = np.tanh(table[tokens[place - 1]] + fixed["bias"] * part["image_index"][row, place - 1])
                scores = states @ fixed["outputs"]
                total -= scores[tokens[place]] - np.log(np.exp(scores).sum())
                count += 1
    return total, count


def update(batches: dict, loss: LossConfig, trainable: dict, frozen: dict, step: int = 0, **options):
    step_fn = jax.jit(make_step(Bigrams(), SGD, lambda count: count * 10.0, loss, StepOptions(**options)))
    return step_fn(TrainState(jnp.asarray(step), trainable, SGD.init(trainable)), frozen, batches)


@pytest.mark.parametrize("per", ["sequence", "token"])
def test_the_loss_against_numpy(per):
    trainable, frozen = parts()
    batches = {"m3w": batch(0, 3, 9), "pairs": batch(1, 5, 4, share=0.9)}
    weights = {"m3w": 1.0, "pairs": 0.2}
    _, metrics = update(batches, LossConfig(weights, per), trainable, frozen)
    expected = 0.0
    for name, part in batches.items():
        total, count = numpy_loss(trainable, frozen, part)
        assert count not in (0, len(part["tokens"]))  # or the two ways would be the same
        np.testing.assert_allclose(metrics[f"loss/{name}"], total / count, rtol=1e-5)  # a token's, in either case
        expected += weights[name] * total / (count if per == "token" else len(part["tokens"]))
    np.testing.assert_allclose(metrics["loss"], expected, rtol=1e-5)


@pytest.mark.parametrize("per", ["sequence", "token"])
def test_accumulated_gradients_are_those_of_the_whole_weighted_sum(per):
    trainable, frozen = parts()
    batches = {"m3w": batch(0, 3, 9), "pairs": batch(1, 5, 4), "clips": batch(2, 1, 6)}
    weights = {"m3w": 1.0, "pairs": 0.2, "clips": 0.03}

    def at_once(trainable):
        total = 0.0
        for name, part in batches.items():
            logits = Bigrams().apply({"params": trainable | frozen}, **model_inputs(part))
            losses = optax.softmax_cross_entropy_with_integer_labels(logits[:, :-1], part["tokens"][:, 1:])
            mask = part["loss_mask"][:, 1:]
            total += weights[name] * (losses * mask).sum() / (mask.sum() if per == "token" else len(mask))
        return total

    value, gradient = jax.jit(jax.value_and_grad(at_once))(trainable)
    state, metrics = update(batches, LossConfig(weights, per), trainable, frozen)
    moved = trainable["trained"]["table"] - np.asarray(state.params["trained"]["table"])
    np.testing.assert_allclose(moved, gradient["trained"]["table"], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(metrics["loss"], value, rtol=1e-5)
    np.testing.assert_allclose(metrics["grad_norm"], np.linalg.norm(gradient["trained"]["table"]), rtol=1e-5)


@pytest.mark.parametrize("per", ["sequence", "token"])
def test_each_dataset_has_its_own_number_of_microbatches(per):
    """Whose rows have different numbers of targets, and whose sums make the same step as the whole batches do."""
    trainable, frozen = parts()
    batches = {"m3w": batch(0, 6, 9), "pairs": batch(1, 10, 4), "clips": batch(2, 1, 6)}
    loss = LossConfig({"m3w": 1.0, "pairs": 0.2, "clips": 0.03}, per)
    expected, expected_metrics = update(batches, loss, trainable, frozen)
    state, metrics = update(batches, loss, trainable, frozen, microbatches={"m3w": 3, "pairs": 5})
    assert metrics.keys() == expected_metrics.keys()
    for name, value in expected_metrics.items():
        np.testing.assert_allclose(metrics[name], value, rtol=1e-5, err_msg=name)
    before, table = trainable["trained"]["table"], np.asarray(state.params["trained"]["table"])
    assert np.abs(table - before).max() > 0.1
    np.testing.assert_allclose(table, expected.params["trained"]["table"], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("per", ["sequence", "token"])
def test_a_batch_without_targets_has_loss_0_and_moves_nothing(per):
    trainable, frozen = parts()
    empty = batch(0, 3, 9) | {"loss_mask": np.zeros((3, 9), bool)}
    state, metrics = update({"m3w": empty}, LossConfig({"m3w": 1.0}, per), trainable, frozen)
    assert float(metrics["loss"]) == float(metrics["loss/m3w"]) == float(metrics["grad_norm"]) == 0.0
    np.testing.assert_array_equal(state.params["trained"]["table"], trainable["trained"]["table"])


def test_what_is_no_target_may_be_anything():
    """A token that is masked out, such as padding, may not matter even if its loss is infinite."""
    trainable, frozen = parts()
    part = batch(0, 2, 6) | {"loss_mask": np.arange(6)[None].repeat(2, 0) == 2}
    changed = part | {"tokens": part["tokens"].copy()}
    changed["tokens"][:, 3:] = (part["tokens"][:, 3:] + 1) % VOCABULARY
    first, second = (update({"a": x}, LossConfig({"a": 1.0}), trainable, frozen)[1]["loss"] for x in (part, changed))
    assert float(first) == float(second)
    logits = jnp.asarray([[[0.0, 0.0], [-jnp.inf, 0.0]]])
    losses = from_logits(jnp.concatenate([logits, logits], axis=1), jnp.asarray([[0, 0, 0, 0]]))
    np.testing.assert_allclose(losses, [[0.0, np.log(2), np.inf, np.log(2)]], rtol=1e-6)


def test_large_logits_of_a_narrow_type_are_no_trouble():
    logits = jnp.asarray([[[300.0, 300.0, -300.0]] * 2], jnp.bfloat16)
    losses = from_logits(logits, jnp.asarray([[0, 1]]))
    assert losses.dtype == jnp.float32
    np.testing.assert_allclose(losses, [[0.0, np.log(2)]], rtol=1e-4)


def test_the_step_counts_and_tells_the_rate_that_it_used():
    trainable, frozen = parts()
    state, metrics = update({"a": batch(0, 2, 4)}, LossConfig({"a": 1.0}), trainable, frozen, step=7)
    assert int(state.step) == 8
    assert float(metrics["learning_rate"]) == 70.0


def test_the_model_is_given_what_it_reads():
    part = tiny.random_batch() | {"image_first": np.ones((2, 12), np.int32)}
    assert set(part) - set(model_inputs(part)) == {"loss_mask", "skipped"}
    assert "image_first" not in model_inputs(tiny.random_batch())


def test_an_unknown_way_to_average_is_refused():
    with pytest.raises(ValueError, match="'word'"):
        LossConfig({}, "word")


def test_gates_are_told_from_the_bottom():
    block = {"gated_cross_attention": {"attention_gate": np.asarray([[0.1], [0.2]]), "dense_gate": np.zeros((2, 1))}}
    tail = {"gated_cross_attention": {"attention_gate": np.asarray([0.3]), "dense_gate": np.asarray([0.4])}}
    found = gates({"language_model": {"groups": block, "tail": tail}})
    opened = [found[f"gate/attention/{layer}"] for layer in range(3)]
    np.testing.assert_allclose(opened, np.tanh([0.1, 0.2, 0.3]), rtol=1e-6)
    np.testing.assert_allclose(found["gate/dense/2"], np.tanh(0.4), rtol=1e-6)
    assert len(found) == 6
    assert gates({"resampler": {}}) == {}


@pytest.fixture(scope="module")
def flamingo_step():
    """A compiled step of the tiny model on one dataset, its parameters, labels and batch."""
    model = Flamingo(tiny.CONFIG)
    labels = label(flat_shapes(abstract_params(model)), PAPER_RULES)
    trainable, frozen = split(tiny.init(model), labels)
    step_fn = jax.jit(make_step(model, SGD, lambda count: 0.0, LossConfig({"m3w": 1.0})))

    def run(trainable: dict):
        part = tiny.random_batch() | {"skipped": np.zeros(2, np.int32)}
        return step_fn(TrainState(jnp.asarray(0), trainable, SGD.init(trainable)), frozen, {"m3w": part})

    return run, trainable, labels


def test_trainable_leaves_alone_have_gradients_and_all_of_them_do(flamingo_step):
    run, trainable, labels = flamingo_step
    state, _ = run(trainable)
    after, before = (traverse_util.flatten_dict(tree, sep="/") for tree in (state.params, trainable))
    assert set(after) == {path for path, name in labels.items() if name != FROZEN}
    for path, leaf in before.items():
        assert np.abs(np.asarray(after[path]) - leaf).max() > 0, path


@pytest.mark.parametrize(
    "path",
    [
        "resampler/latents",
        "resampler/layers/key/kernel",
        "visual_projection/kernel",
        "language_model/groups/gated_cross_attention/attention_gate",
        "language_model/tail/gated_cross_attention/dense_gate",
        "language_model/new_rows",
    ],
)
def test_gradients_of_the_whole_model_against_finite_differences(flamingo_step, path):
    """The slope along one random direction within the leaf, from losses on both sides."""
    run, trainable, _ = flamingo_step
    flat = traverse_util.flatten_dict(trainable, sep="/")
    direction = np.random.default_rng(1).choice([-1.0, 1.0], flat[path].shape).astype(np.float32)
    gradient = flat[path] - np.asarray(traverse_util.flatten_dict(run(trainable)[0].params, sep="/")[path])

    def loss(distance: float) -> float:
        moved = flat | {path: flat[path] + distance * direction}
        return float(run(traverse_util.unflatten_dict(moved, sep="/"))[1]["loss"])

    distance = 2e-2 / np.sqrt(direction.size)  # the loss is about 50, in float32: less would be lost in its rounding
    slope = (loss(distance) - loss(-distance)) / (2 * distance)
    np.testing.assert_allclose(np.sum(gradient.astype(np.float64) * direction), slope, rtol=0.02, atol=0.02)


def test_ranges_of_images_are_not_looked_at_where_there_are_none():
    """What attention kernels need to know: `image_first` is then `image_index`."""
    given = []

    class Looks(Bigrams):
        def apply(self, variables, **inputs):
            given.append("image_first" in inputs)
            return super().apply(variables, **inputs)

    trainable, frozen = parts()
    part = batch(0, 2, 4) | {"image_first": np.zeros((2, 4), np.int32)}
    for ranges in (False, True):
        step = make_step(Looks(), SGD, lambda count: 0.0, LossConfig({"a": 1.0}), StepOptions(image_ranges=ranges))
        step(TrainState(jnp.asarray(0), trainable, SGD.init(trainable)), frozen, {"a": part})
    assert given == [False, True]
