"""Packed rows train as the documents that they hold do: the same loss and gradients, and no look at one another."""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import traverse_util

from flamingo_jax.data.mixture import Mixture, MixtureConfig
from flamingo_jax.data.pairs import PairsConfig
from flamingo_jax.models.flamingo import Flamingo
from flamingo_jax.training.freezing import PAPER_RULES, label, split
from flamingo_jax.training.state import TrainState, abstract_params, flat_shapes
from flamingo_jax.training.step import LossConfig, make_step
from tests import tiny
from tests.data.samples import WordTokenizer, noise_bytes, pair

PACKED = PairsConfig(
    path="", batch_size=2, length=40, image_size=8, weight=0.2, documents_per_row=3, packing_group=2, images_seen="all"
)


class Quarters(nn.Module):
    """An encoder without parameters, which compiles at once: 4 x 4 pixels of each quarter of the image."""

    def __call__(self, images):
        step = images.shape[1] // 8
        quarters = images[:, ::step, ::step].reshape(len(images), 2, 4, 2, 4, 3).swapaxes(2, 3)
        return quarters.reshape(len(images), 4, 48) / 255.0


@dataclasses.dataclass(frozen=True)
class QuartersConfig:
    output_width: int = 48

    def make(self, dtype, name=None):
        return Quarters(name=name)


class TinyTokenizer(WordTokenizer):
    """Tokens of the tiny model's vocabulary; `<EOC>` is the one after it."""

    eoc_id = tiny.LANGUAGE.vocab_size

    def encode(self, text):
        return [5 + token % 50 for token in super().encode(text)]


@pytest.fixture(scope="module")
def batches():
    """Two rows of three pairs, and the same pairs in a row each; of one shape, so that one program serves both."""
    documents = [
        pair(f"k{place}", " ".join(f"w{place}x{word}" for word in range(2 + 2 * place)), noise_bytes(place, (8, 8)))
        for place in range(6)
    ]
    # The same slots, so the same records and the same augmentation.
    alone = dataclasses.replace(PACKED, batch_size=6, documents_per_row=1, packing_group=1)
    made = [
        Mixture(MixtureConfig((("pairs", dataset),)), TinyTokenizer(), {"pairs": documents}).batch(0)["pairs"]
        for dataset in (PACKED, alone)
    ]
    return tuple(padded(batch) for batch in made)


def padded(batch):
    """With rows of padding alone and absent images, up to six rows of three images."""
    out = {}
    for key, value in batch.items():
        shape = (6, 3, *value.shape[2:]) if key in ("images", "frame_mask") else (6, *value.shape[1:])
        out[key] = np.zeros(shape, value.dtype)
        out[key][tuple(slice(size) for size in value.shape)] = value
    return out


@pytest.fixture(scope="module")
def model():
    language = dataclasses.replace(tiny.LANGUAGE, num_layers=2)
    module = Flamingo(tiny.config(vision=QuartersConfig(), language=language))
    labels = label(flat_shapes(abstract_params(module)), PAPER_RULES[1:])
    return module, *split(tiny.init(module), labels)


def test_loss_and_gradients_are_those_of_the_pairs_alone(model, batches):
    module, trainable, frozen = model
    packed, alone = batches
    assert packed["segment_ids"].max(axis=1).tolist() == [3, 3, 0, 0, 0, 0]
    assert packed["loss_mask"].sum() == alone["loss_mask"].sum()  # nothing was cut
    step = jax.jit(make_step(module, optax.sgd(1.0), lambda count: 0.0, LossConfig({"pairs": 0.2})))

    def update(batch):
        """The metrics, and the gradient of each leaf."""
        part = {key: value for key, value in batch.items() if key != "skipped"}
        state = TrainState(jnp.asarray(0), trainable, optax.sgd(1.0).init(trainable))
        state, metrics = step(state, frozen, {"pairs": part})
        before, after = (traverse_util.flatten_dict(tree, sep="/") for tree in (trainable, state.params))
        return metrics, {path: before[path] - after[path] for path in before}

    (metrics, gradients), (expected_metrics, expected) = update(packed), update(alone)
    for name in ("loss", "loss/pairs", "grad_norm"):
        np.testing.assert_allclose(metrics[name], expected_metrics[name], rtol=1e-5, err_msg=name)
    for path, gradient in expected.items():
        scale = np.abs(gradient).max()
        assert scale > 0, path
        np.testing.assert_allclose(gradients[path], gradient, rtol=1e-4, atol=2e-5 * scale, err_msg=path)
    joined = packed | {"segment_ids": np.minimum(packed["segment_ids"], 1)}
    assert abs(update(joined)[0]["loss/pairs"] / metrics["loss/pairs"] - 1) > 1e-3  # pairs that see one another differ


def test_pairs_of_a_row_are_blind_to_one_another(model, batches):
    """Another first caption or another second image moves the logits of its own segment alone."""
    module, packed = model[0], batches[0]
    params = {"params": tiny.init(module)}
    before = np.asarray(tiny.forward(module)(params, **tiny.inputs(packed)))
    for key, place in (("tokens", 1), ("images", 2)):
        changed = packed | {key: packed[key].copy()}
        own = packed["segment_ids"] == place
        if key == "tokens":
            changed[key][own] = 7
        else:
            changed[key][:, place - 1] = 255 - changed[key][:, place - 1]
        after = np.asarray(tiny.forward(module)(params, **tiny.inputs(changed)))
        assert (np.abs(after - before).max(axis=-1)[own] > 1e-4).all()
        others = (packed["segment_ids"] > 0) & ~own
        np.testing.assert_array_equal(after[others], before[others])
