"""Every strategy of the mixture through step and loop."""

import collections
import dataclasses
import json
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from flamingo_jax.data import mixture as mixture_module
from flamingo_jax.data.document import Document, Text
from flamingo_jax.data.merging import merge
from flamingo_jax.data.text import TextConfig
from flamingo_jax.models.losses import token_losses
from flamingo_jax.parallel.mesh import make_mesh
from flamingo_jax.parallel.rules import replicated
from flamingo_jax.training import loop
from flamingo_jax.training.checkpoints import CheckpointConfig
from flamingo_jax.training.health import healthy
from flamingo_jax.training.state import TrainState
from flamingo_jax.training.step import LossConfig, make_step
from tests.data.samples import clip, clip_bytes, page, pair

VOCABULARY, WIDTH = 259, 5
SGD = optax.sgd(0.1)


class Bigrams:
    """Stands where a Flamingo stands: logits of a token from the one before it and from the images that it sees.

    Attributes:
      traced: how often it was compiled.
    """

    def __init__(self):
        self.traced = 0

    def apply(self, variables, tokens, image_index, images, **others):
        self.traced += 1
        params = variables["params"]
        light = jnp.pad(images.max(axis=(2, 3, 4, 5), initial=0) / 255.0, ((0, 0), (1, 0)))
        seen = jnp.take_along_axis(light, image_index, axis=1)
        states = jnp.tanh(params["table"][tokens] + params["bias"] * seen[..., None])
        return token_losses(lambda x: [x @ params["outputs"]], states, tokens)


def parameters():
    rng = np.random.default_rng(0)
    shapes = {"table": (VOCABULARY, WIDTH), "bias": (WIDTH,), "outputs": (WIDTH, VOCABULARY)}
    values = {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    return {name: values[name] for name in ("table", "bias")}, {"outputs": values["outputs"]}


def part(seed, rows, length, images, documents=1):
    rng = np.random.default_rng(seed)
    segments = np.sort(rng.integers(0, documents + 1, (rows, length)))[:, ::-1]
    segments[:, 0] = documents
    return {
        "tokens": rng.integers(0, VOCABULARY, (rows, length)).astype(np.int32),
        "segment_ids": segments.astype(np.int32),
        "image_index": (rng.integers(0, images + 1, (rows, length)) * (segments > 0)).astype(np.int32),
        "loss_mask": (rng.random((rows, length)) < 0.6) & (segments > 0) & (np.arange(length) > 0),
        "images": rng.integers(0, 256, (rows, images, 1, 2, 2, 3)).astype(np.uint8),
    }


PARTS = {"m3w": part(0, 4, 9, 3), "pairs": part(1, 8, 5, 2, documents=2), "text": part(2, 2, 12, 0)}
WEIGHTS = {"m3w": 1.0, "pairs": 0.2, "text": 0.5}


@pytest.mark.parametrize("per", ["sequence", "token"])
def test_merged_rows_have_the_objective_of_accumulated_ones(per):
    trainable, frozen = parameters()
    step = jax.jit(make_step(Bigrams(), SGD, lambda count: 0.0, LossConfig(WEIGHTS, per)))
    outcomes = []
    for batch in (PARTS, {"merged": merge(PARTS, pad_id=1)}):
        state, metrics = step(TrainState(jnp.asarray(0), trainable, SGD.init(trainable)), frozen, batch)
        outcomes.append((metrics, state.params))
    (metrics, params), (merged_metrics, merged_params) = outcomes
    assert metrics.keys() == merged_metrics.keys() >= {"loss", "loss/m3w", "loss/pairs", "loss/text"}
    for name in metrics:
        np.testing.assert_allclose(merged_metrics[name], metrics[name], rtol=1e-5, err_msg=name)
    for name in params:
        assert np.abs(params[name] - trainable[name]).max() > 1e-3
        np.testing.assert_allclose(merged_params[name], params[name], rtol=1e-4, atol=1e-6)


def test_the_documents_of_a_row_count_each():
    """With two documents in every row a row's sum counts half, and rows of one dataset do not count for another."""
    trainable, frozen = parameters()
    step = jax.jit(make_step(Bigrams(), SGD, lambda count: 0.0, LossConfig(WEIGHTS)))
    state = TrainState(jnp.asarray(0), trainable, SGD.init(trainable))
    single = PARTS["pairs"] | {"segment_ids": np.minimum(PARTS["pairs"]["segment_ids"], 1)}
    two, one = (step(state, frozen, {"pairs": batch})[1]["loss"] for batch in (PARTS["pairs"], single))
    np.testing.assert_allclose(2 * two, one, rtol=1e-6)


def test_one_program_for_each_dataset_in_turn():
    model, (trainable, frozen) = Bigrams(), parameters()
    step = jax.jit(make_step(model, SGD, lambda count: 0.0, LossConfig(WEIGHTS)))
    state = TrainState(jnp.asarray(0), trainable, SGD.init(trainable))
    for turn in range(9):
        name = [*PARTS][turn % 3]
        state, metrics = step(state, frozen, {name: PARTS[name]})
        assert {key for key in metrics if key.startswith("loss/")} == {f"loss/{name}"}
    assert model.traced == 3 and int(state.step) == 9


@pytest.fixture
def run(tiny_config, monkeypatch):
    """A run of a bigram model over four small datasets held in memory, as a function of the mixture's strategy."""
    documents = {
        "m3w": [page("p", "3i4i5"), page("oops", "2i", b"oops")],
        "pairs": [*(pair(f"k{place}", "a red box") for place in range(8)), pair("oops", encoded=b"oops")],
        "clips": [clip("c", clip_bytes(1))],
        "text": [Document(f"t{place}", (Text("only words"),)) for place in range(4)],
    }
    datasets = dict(tiny_config.mixture.datasets)
    datasets = {name: dataclasses.replace(dataset, path=name) for name, dataset in datasets.items()}
    datasets["pairs"] = dataclasses.replace(datasets["pairs"], length=80, documents_per_row=2, packing_group=4)
    datasets["text"] = TextConfig(path="text", batch_size=2, length=48, documents_per_row=2)
    monkeypatch.setattr(mixture_module, "open_source", lambda path, split: documents[path])

    def design(config):
        loss = LossConfig({name: dataset.weight for name, dataset in config.mixture.datasets}, config.loss_per)
        step = jax.jit(make_step(Bigrams(), SGD, lambda count: 0.0, loss))
        mesh = make_mesh(config.mesh)
        shapes = jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=replicated(mesh)), start(config)
        )
        return SimpleNamespace(config=config, mesh=mesh, step=step, shapes={}, labels={}, state=shapes)

    def start(config):
        trainable = jax.tree.map(jnp.asarray, parameters()[0])
        watched = healthy([name for name, _ in config.mixture.datasets])
        return jax.tree.map(jnp.asarray, TrainState(jnp.asarray(0), trainable, SGD.init(trainable), watched))

    def set_up(design, resumed):
        return SimpleNamespace(
            design=design, start=lambda: start(design.config), frozen=parameters()[1], fingerprint="bigrams"
        )

    monkeypatch.setattr(loop, "Design", SimpleNamespace(make=design))
    monkeypatch.setattr(loop, "set_up", set_up)
    monkeypatch.setattr(loop, "compile_steps", lambda design, interrupt: collections.defaultdict(lambda: design.step))
    monkeypatch.setattr(loop, "step_flops", lambda design: {(name,): 0.0 for name in (*datasets, "merged")})
    monkeypatch.setattr(loop, "summary", lambda shapes, labels: "")

    def config(steps, **changes):
        changes = {"datasets": tuple(datasets.items()), "threads": 1, "max_skip_rate": 1.0} | changes
        mixture = dataclasses.replace(tiny_config.mixture, **changes)
        return dataclasses.replace(tiny_config, mixture=mixture, steps=steps, checkpoints=CheckpointConfig())

    return config


def lines(workdir):
    found = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    return {line["step"]: line for line in found if "loss" in line}


CYCLES = {"round_robin": ["m3w", "pairs", "clips", "text", "m3w"], "merged": [["m3w", "pairs", "clips", "text"]]}


@pytest.mark.parametrize("strategy", CYCLES)
def test_runs_train_and_resume(run, tmp_path, strategy):
    options = {"strategy": strategy, "turns": {"m3w": 2} if strategy == "round_robin" else {}}
    assert loop.train(run(10, **options), str(tmp_path / "whole")) == 10
    whole, cycle = lines(tmp_path / "whole"), CYCLES[strategy]
    assert sorted(whole) == list(range(1, 11))
    for step, line in whole.items():
        datasets = cycle[(step - 1) % len(cycle)]
        for kind in ("loss/", "skipped/"):
            told = {key.removeprefix(kind) for key in line if key.startswith(kind)}
            assert told == ({datasets} if isinstance(datasets, str) else set(datasets))
    assert all(sum(line.get(f"skipped/{name}", 0) for line in whole.values()) for name in ("m3w", "pairs"))
    losses = [line["loss/text"] for line in whole.values() if "loss/text" in line]
    assert losses[-1] < losses[0]

    assert loop.train(run(7, **options), str(tmp_path / "parts")) == 7  # in the midst of a cycle
    assert loop.train(run(10, **options), str(tmp_path / "parts")) == 10
    parts = lines(tmp_path / "parts")
    assert [parts[step]["loss"] for step in parts] == [whole[step]["loss"] for step in whole]
