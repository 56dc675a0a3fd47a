"""Datasets that go through the language model together: the same objective and gradient as one after the other."""

import dataclasses

import jax
import numpy as np
import pytest

from flamingo_jax.models.flamingo import Flamingo
from flamingo_jax.training.joining import join_datasets
from flamingo_jax.training.step import StepOptions, passes
from tests import tiny
from tests.training.test_step_options import TINY, assert_same, gradients

# Of one length, but with other numbers of images and frames.
BATCHES = {
    "m3w": tiny.random_batch(0, rows=4, length=8, images=3, frames=1),
    "pairs": tiny.random_batch(1, rows=6, length=8, images=1, frames=2),
}


def test_passes():
    assert passes(["a", "b", "c"], ()) == {"a": ("a",), "b": ("b",), "c": ("c",)}
    assert passes(["a", "b", "c"], [("b", "c")]) == {"a": ("a",), "b+c": ("b", "c")}
    assert passes(["a", "b", "c"], [("c", "a")]) == {"c+a": ("c", "a"), "b": ("b",)}


@pytest.mark.parametrize(
    "microbatches",
    [{"m3w+pairs": 2}, pytest.param({}, marks=pytest.mark.slow)],
    ids=["in parts", "whole"],
)
def test_nothing_changes(apart, microbatches):
    options = StepOptions(joined=(("m3w", "pairs"),), microbatches=microbatches)
    assert_same(gradients(TINY, options, BATCHES), apart)


@pytest.fixture(scope="module")
def apart():
    return gradients(TINY, StepOptions(), BATCHES)


def test_rows_of_text_alone_may_join():
    """Without places for images a row has no visual tokens; beside others it has some that it does not look at."""
    model = Flamingo(tiny.config())
    params = tiny.init(model)
    text = tiny.random_batch(2, rows=2, length=8, images=1)
    text |= {"images": text["images"][:, :0], "frame_mask": text["frame_mask"][:, :0]}
    text["image_index"] = np.zeros_like(text["image_index"])
    batches = {"pairs": BATCHES["pairs"], "text": text}

    @jax.jit
    def encode(images, frame_mask, features):
        return model.apply({"params": params}, images, frame_mask, features, method="encode_images")

    joined = join_datasets(batches, encode, ["text", "pairs"])
    assert joined["dataset"].tolist() == [1] * 6 + [0] * 2
    names = ("tokens", "segment_ids", "positions", "image_index", "image_first", "media")
    inputs = {name: joined[name] for name in names} | {"images": None, "frame_mask": None}
    together = tiny.forward(model)({"params": params}, **inputs)
    for name, rows in (("pairs", slice(6)), ("text", slice(6, 8))):
        alone = tiny.forward(model)({"params": params}, **tiny.inputs(batches[name]))
        np.testing.assert_allclose(together[rows], alone, rtol=0, atol=2e-5)


def test_what_cannot_join(tiny_config):
    names = [name for name, _ in tiny_config.mixture.datasets]
    with pytest.raises(ValueError, match="groups datasets"):
        dataclasses.replace(tiny_config, joined=((names[0], "nobody"),))
    with pytest.raises(ValueError, match="each once"):
        dataclasses.replace(tiny_config, joined=((names[0], names[1]), (names[1],)))
    with pytest.raises(ValueError, match="rows of one length, but length is"):
        dataclasses.replace(tiny_config, joined=(tuple(names),), mixture=with_lengths(tiny_config.mixture))
    round_robin = dataclasses.replace(tiny_config.mixture, strategy="round_robin")
    with pytest.raises(ValueError, match="does nothing with strategy 'round_robin'"):
        dataclasses.replace(tiny_config, joined=(tuple(names),), mixture=round_robin)


def test_microbatches_are_those_of_the_group(tiny_config):
    names = [name for name, _ in tiny_config.mixture.datasets]
    datasets = tuple((name, dataclasses.replace(each, length=32)) for name, each in tiny_config.mixture.datasets)
    mixture = dataclasses.replace(tiny_config.mixture, datasets=datasets)
    joined = (tuple(names[:2]),)
    run = dataclasses.replace(tiny_config, mixture=mixture, joined=joined, microbatches={"+".join(names[:2]): 2})
    assert run.parts == {names[0]: 2, names[1]: 2} | dict.fromkeys(names[2:], 1)
    with pytest.raises(ValueError, match="gives batches"):
        dataclasses.replace(tiny_config, mixture=mixture, joined=joined, microbatches={names[0]: 2})


def with_lengths(mixture):
    """Each dataset with rows of another length."""
    datasets = ((name, dataclasses.replace(each, length=20 + i)) for i, (name, each) in enumerate(mixture.datasets))
    return dataclasses.replace(mixture, datasets=tuple(datasets))
