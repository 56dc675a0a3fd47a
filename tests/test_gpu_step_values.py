"""The random values that the benchmark of the step draws in the place of weights and pages."""

import contextlib
import dataclasses
import sys
import types
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flamingo_jax import config
from flamingo_jax.data.shapes import batch_shapes
from flamingo_jax.models.quantized import Quantized
from flamingo_jax.training.run import RunConfig

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))  # a script's modules lie beside it

import gpu_step_values
from gpu_step_batches import with_sizes

ROOT = Path(__file__).parents[1]
PLACE = jax.sharding.SingleDeviceSharding(jax.devices()[0])


def test_parameters_are_of_a_useful_size():
    def leaf(dtype, *shape):
        return jax.ShapeDtypeStruct(shape, jnp.dtype(dtype), sharding=PLACE)

    tree = {
        "kernel": leaf("bfloat16", 40, 50),
        "scale": leaf("float32", 60),
        "attention_gate": leaf("float32"),
        "stored": Quantized(leaf("int8", 30, 20), leaf("float32", 1, 20)),
    }
    drawn = gpu_step_values.draw(tree, seed=1)
    found = jax.tree.map(lambda x: (x.shape, x.dtype, x.sharding), drawn)
    assert found == jax.tree.map(lambda x: (x.shape, x.dtype, x.sharding), tree)
    stored = np.asarray(drawn["stored"].values, np.float32) * np.asarray(drawn["stored"].scale)
    for weight in (np.asarray(drawn["kernel"], np.float32), stored):
        assert np.std(weight) == pytest.approx(0.02, rel=0.1) and abs(np.mean(weight)) < 0.002
    assert np.all(np.abs(drawn["scale"] - 1) <= 0.1) and np.std(drawn["scale"]) > 0.03
    assert 0.4 <= drawn["attention_gate"] <= 0.6


def test_batches_are_pages():
    with contextlib.chdir(ROOT):
        run_3b = config.resolve(RunConfig, ["gin/runs/flamingo_3b_h100.gin"], [])
    datasets = tuple((name, dataclasses.replace(each, image_size=32)) for name, each in run_3b.mixture.datasets)
    run = dataclasses.replace(run_3b, mixture=dataclasses.replace(run_3b.mixture, datasets=datasets))
    design = types.SimpleNamespace(config=run)
    structs = {
        name: {key: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=PLACE) for key, x in part.items()}
        for name, part in next(
            iter(batch_shapes(with_sizes(run, dict.fromkeys(dict(datasets), 2)).mixture).values())
        ).items()
    }
    for part in structs.values():
        del part["skipped"]
    batches = gpu_step_values.draw_batch(design, structs)
    assert jax.tree.map(lambda x: (x.shape, x.dtype), batches) == jax.tree.map(lambda x: (x.shape, x.dtype), structs)
    for name, batch in batches.items():
        images = batch["frame_mask"].shape[1]
        assert batch["tokens"].min() >= 0 and 31_000 < batch["tokens"].max() <= 32_000, name
        assert batch["images"].min() < 5 and batch["images"].max() > 250
        index = np.asarray(batch["image_index"])
        assert (np.diff(index) >= 0).all() and set(index[:, 0]) == {0} and set(index[0]) == set(range(images + 1))
        assert np.array_equal(index, batch["image_first"])
        assert not batch["loss_mask"][:, 0].any() and batch["loss_mask"][:, 1:].all()
        assert batch["frame_mask"].all() and np.all(np.diff(batch["positions"]) == 1)


def test_numbers_are_uniform_and_differ_between_leaves():
    leaf = jax.ShapeDtypeStruct((64, 33, 20), jnp.float32, sharding=PLACE)
    tree = {"kernel": leaf, "other": leaf}
    a, b = (np.asarray(value).ravel() / 0.035 for value in gpu_step_values.draw(tree, seed=3).values())
    for values in (a, b):
        assert np.histogram(values, 8, (-1, 1))[0] == pytest.approx(values.size / 8, rel=0.06)
        assert abs(np.corrcoef(values[:-1], values[1:])[0, 1]) < 0.02
    assert abs(np.corrcoef(a, b)[0, 1]) < 0.02
