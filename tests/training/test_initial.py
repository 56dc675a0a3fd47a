"""A new run from parameters of another one: exactly what is asked for is taken, whatever the layers are stacked by."""

import contextlib
import dataclasses
import json
from pathlib import Path

import absl.logging
import jax
import numpy as np
import pytest
from etils import epath
from flax import traverse_util

from flamingo_jax import config as config_lib
from flamingo_jax.config import ConfigError
from flamingo_jax.interop.files.tensors import WeightsError
from flamingo_jax.models.flamingo import FlamingoConfig
from flamingo_jax.training.checkpoint_errors import CheckpointError
from flamingo_jax.training.checkpoint_file import CheckpointFile, newest
from flamingo_jax.training.checkpoints import CheckpointConfig, Checkpoints
from flamingo_jax.training.checksums import checksums
from flamingo_jax.training.conversion import convert
from flamingo_jax.training.design import Design
from flamingo_jax.training.initial import Initial, InitialConfig, open_initial
from flamingo_jax.training.position import Position
from flamingo_jax.training.run import RunConfig
from flamingo_jax.training.setup import Setup, set_up
from tests.parallel.processes import Processes

JOIN = "language_model/.*"  # of what trains: the blocks and the new rows
GATE = "language_model/groups/gated_cross_attention/attention_gate"
LAST_GATE = "language_model/tail/gated_cross_attention/attention_gate"


def flat(tree) -> dict[str, np.ndarray]:
    return {path: np.asarray(leaf) for path, leaf in traverse_util.flatten_dict(tree, sep="/").items()}


@pytest.fixture(scope="module", autouse=True)
def quiet():
    """Orbax warns of its own doings, some 10,000 times. The commands do not listen either."""
    before = absl.logging.get_verbosity()
    absl.logging.set_verbosity(absl.logging.FATAL)
    yield
    absl.logging.set_verbosity(before)


@pytest.fixture(scope="module")
def config(tiny_config) -> RunConfig:
    datasets = tuple(pair for pair in tiny_config.mixture.datasets if pair[0] == "pairs")
    mixture = dataclasses.replace(tiny_config.mixture, datasets=datasets)
    return dataclasses.replace(tiny_config, mixture=mixture)


@pytest.fixture(scope="module")
def drawn(config) -> Setup:
    """A run that takes nothing from anywhere."""
    return set_up(Design.make(config))


@pytest.fixture(scope="module")
def values(drawn) -> dict[str, np.ndarray]:
    """What the other run has trained: every number is another one."""
    rng = np.random.default_rng(0)
    return {path: rng.normal(size=leaf.shape).astype(np.float32) for path, leaf in flat(drawn.params).items()}


@pytest.fixture(scope="module")
def source(config, drawn, values, tmp_path_factory) -> Path:
    """The workdir of the other run, whose newest checkpoint is of step 7."""
    workdir = tmp_path_factory.mktemp("source")
    with Checkpoints(epath.Path(workdir), CheckpointConfig()) as checkpoints:
        for step, factor in ((6, 0.5), (7, 1.0)):
            params = traverse_util.unflatten_dict({path: leaf * factor for path, leaf in values.items()}, sep="/")
            state = drawn.start()._replace(step=np.int32(step), params=jax.tree.map(jax.numpy.asarray, params))
            checkpoints.save(state, Position(step, step), config_lib.to_json(config), drawn.fingerprint, {"pairs": 1.0})
            checkpoints.wait()
    return workdir


@pytest.fixture
def files():
    with contextlib.ExitStack() as stack:
        yield stack


def opened(files, config: RunConfig, path: object, *patterns: str, **model) -> tuple[Initial, Design]:
    """What a run with this `initial` would take; with `model`, one of another model."""
    model = dataclasses.replace(config.model, **model)
    initial = InitialConfig(str(path), patterns or (".*",))
    design = Design.make(dataclasses.replace(config, model=model, initial=initial))
    return open_initial(initial, model, shapes(design), files), design


def shapes(design: Design) -> dict[str, tuple[int, ...]]:
    return {path: leaf.shape for path, leaf in leaves(design).items()}


def leaves(design: Design) -> dict[str, jax.ShapeDtypeStruct]:
    return traverse_util.flatten_dict(design.state.params, sep="/")


def loaded(initial: Initial, design: Design) -> dict[str, np.ndarray]:
    return {path: np.asarray(leaf) for path, leaf in initial.load(leaves(design), design.config.model).items()}


def test_what_matches_is_taken_and_the_rest_is_drawn(config, drawn, values, source, caplog):
    caplog.set_level("INFO", "flamingo_jax")
    run = dataclasses.replace(config, initial=InitialConfig(str(source), (JOIN,)))
    made = set_up(Design.make(run))
    before = flat(drawn.params)
    assert any(path.startswith("resampler/") for path in before)
    for path, leaf in flat(made.params).items():
        expected = values[path] if path.startswith("language_model/") else before[path]
        np.testing.assert_array_equal(leaf, expected, err_msg=path)
    jax.tree.map(lambda a, b: np.testing.assert_array_equal(np.asarray(a), np.asarray(b)), made.frozen, drawn.frozen)
    assert int(made.start().step) == 0
    assert made.fingerprint == drawn.fingerprint
    placed, designed = made.params["language_model"], made.design.state.params["language_model"]
    jax.tree.map(lambda a, b: (a.dtype, a.sharding) == (b.dtype, b.sharding) or pytest.fail(str(b)), placed, designed)
    said = caplog.text
    assert f"arrays from step 7 of {source}" in said
    assert "trained what is not taken: resampler/" in said and "other pretrained weights" not in said


@pytest.mark.slow
def test_processes_read_their_own_shards(tiny_gin, drawn, values, source):
    with Processes(2, "tests.training.initial_program", [str(tiny_gin), str(source)]) as processes:
        ended = processes.finish(400)
    assert [status for status, _, _ in ended] == [0, 0], "\n".join(said for _, _, said in ended)
    params = flat(drawn.params)
    params |= {path: leaf for path, leaf in values.items() if path.startswith("language_model/")}
    for _, out, _ in ended:
        assert json.loads(out.splitlines()[-1]) == checksums(traverse_util.unflatten_dict(params, sep="/"))


def test_a_resumed_run_does_not_look_at_it(config, drawn):
    run = dataclasses.replace(config, initial=InitialConfig("/nowhere/at/all"))
    with pytest.raises(FileNotFoundError, match=r"/nowhere/at/all: no such file"):
        set_up(Design.make(run))
    made = set_up(Design.make(run), resumed=True)
    assert made.params is None  # a checkpoint gives them
    assert made.fingerprint == drawn.fingerprint


def test_a_model_that_stacks_its_layers_otherwise(files, config, values, source):
    """Here two groups and a tail, there three groups: the same three blocks."""
    longer = dataclasses.replace(config.model.language, num_layers=6)
    initial, design = opened(files, config, source, "language_model/.*gated.*", language=longer)
    assert LAST_GATE in values and LAST_GATE not in initial.paths
    found = loaded(initial, design)
    assert found.keys() == {path for path in shapes(design) if "gated" in path}
    expected = np.concatenate([values[GATE], values[LAST_GATE][None]])
    np.testing.assert_array_equal(found[GATE], expected)
    (remark, *_) = initial.remarks(design.config.model, initial.fingerprint)
    assert "was trained in another model" in remark and "DecoderConfig.num_layers  5 -> 6" in remark


def test_a_converted_model(files, config, values, source, tmp_path):
    convert(str(source), str(tmp_path / "whole"))
    initial, design = opened(files, config, tmp_path / "whole")
    found = loaded(initial, design)
    assert found.keys() == values.keys()
    for path, leaf in found.items():
        np.testing.assert_array_equal(leaf, values[path], err_msg=path)
    assert initial.remarks(config.model, "0" * 64) == []  # it holds all of a model, and names no files


def test_each_stack_of_a_checkpoint_is_read_once(files, config, source, monkeypatch):
    read = []
    restore = CheckpointFile._restore
    monkeypatch.setattr(CheckpointFile, "_restore", lambda self, leaf: read.append(leaf) or restore(self, leaf))
    initial, design = opened(files, config, source)
    loaded(initial, design)
    assert sorted(read) == sorted(shapes(design))


def test_a_value_that_is_not_what_was_saved(files, config, source):
    """Also where the layers are stacked otherwise here, and for whoever else reads a checkpoint's values."""
    step, facts = newest(epath.Path(source))
    expected = facts["checksums"] | {f"params/{GATE}": "0" * 16}
    damaged = files.enter_context(CheckpointFile(epath.Path(source), step, config.model.plan, expected))
    name = next(name for name, place in damaged.places.items() if place.path == GATE)
    with pytest.raises(WeightsError, match=rf"damaged: {GATE} is not what was saved"):
        damaged[name]
    whole = next(name for name, place in damaged.places.items() if place.path != GATE)
    assert damaged[whole].size


def test_other_pretrained_weights_are_told(files, config, source, drawn):
    initial, _ = opened(files, config, source)
    assert initial.remarks(config.model, drawn.fingerprint) == []
    (remark,) = initial.remarks(config.model, "0" * 64)
    assert f"step 7 of {source} was trained on other pretrained weights" in remark


def test_how_parameters_began_is_no_other_model(files, config, source, drawn):
    block = dataclasses.replace(config.model.cross_attention, gate_init=0.25)
    initial, design = opened(files, config, source, cross_attention=block, dtype="bfloat16")
    assert initial.remarks(design.config.model, drawn.fingerprint) == []


def test_a_pattern_that_matches_nothing(files, config, source):
    with pytest.raises(ConfigError, match=r"match no trainable parameter: 'resampler', 'vision_encoder/\.\*'"):
        opened(files, config, source, "resampler", JOIN, "vision_encoder/.*")


def test_all_that_does_not_fit_is_named_at_once(files, config, source):
    resampler = dataclasses.replace(config.model.resampler, num_latents=8)
    with pytest.raises(ConfigError) as told:
        opened(files, config, source, cross_attention_every=1, resampler=resampler)
    message = str(told.value)
    assert "are not in it: language_model/gated_cross_attention/3/" in message
    assert "1 have another shape: resampler/latents is (4, 24), here (8, 24)" in message
    assert "Let the patterns match only what is to be taken" in message
    opened(files, config, source, "resampler/(?!latents).*", cross_attention_every=1, resampler=resampler)


def test_an_encoder_that_the_other_run_did_not_train(files, config, source):
    """Its values are the pretrained ones, from their own file."""
    names = {"vision_encoder/stem/kernel": (3, 3, 3, 8), GATE: (2,)}
    with pytest.raises(ConfigError, match=r"1 are not in it: vision_encoder/stem/kernel"):
        open_initial(InitialConfig(str(source)), config.model, names, files)
    initial = open_initial(InitialConfig(str(source), ("(?!vision_encoder/).*",)), config.model, names, files)
    assert initial.paths == (GATE,)


def test_what_is_no_source(files, config, tmp_path, tiny_gin):
    with pytest.raises(ConfigError, match="neither the workdir of a training run nor a model of this package"):
        opened(files, config, tiny_gin.parent / "language.safetensors")
    (tmp_path / "checkpoints").mkdir()
    with pytest.raises(CheckpointError, match="has no complete checkpoint yet"):
        opened(files, config, tmp_path)
    assert open_initial(InitialConfig(), FlamingoConfig, {}, files) is None


@pytest.mark.parametrize("patterns", ["resampler/.*", ("(",), (3,)])
def test_patterns_are_a_tuple_of_regular_expressions(patterns):
    with pytest.raises(ValueError, match=r"InitialConfig\.patterns"):
        InitialConfig("somewhere", patterns)
