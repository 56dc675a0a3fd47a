"""Configuration: what resolves, what each mistake is told, and that a saved configuration comes back."""

import dataclasses
import json
import logging
from pathlib import Path

import ml_collections
import pytest

from flamingo_jax import config
from flamingo_jax.config import ConfigError
from flamingo_jax.data.mixture import MixtureConfig
from flamingo_jax.training.checkpoints import CheckpointConfig
from flamingo_jax.training.optimizer import OptimizerConfig, Policy
from flamingo_jax.training.run import RunConfig

ROOT = Path(__file__).parents[1]
GIN = """
from __gin__ import dynamic_registration
from flamingo_jax.training import checkpoints
from flamingo_jax.training import optimizer

optimizer.OptimizerConfig.policies = {
    "resampler": @resampler/optimizer.Policy(),
    "new_tokens": @new_tokens/optimizer.Policy(),
}
optimizer.OptimizerConfig.learning_rate = 3e-3
optimizer.Policy.learning_rate_scale = 2.0
resampler/optimizer.Policy.weight_decay = 0.0
"""
MADE = OptimizerConfig({"resampler": Policy(0.0, 2.0), "new_tokens": Policy(0.1, 2.0)}, learning_rate=3e-3)


@pytest.fixture
def gin_file(tmp_path):
    """Writes a gin file of this text; returns its path."""

    def write(text: str = GIN, name: str = "run.gin") -> str:
        path = tmp_path / name
        path.write_text(text)
        return str(path)

    return write


def error(cls: type, gin_files: list[str], bindings: tuple[str, ...] = ()) -> str:
    with pytest.raises(ConfigError) as raised:
        config.resolve(cls, gin_files, list(bindings))
    message = str(raised.value)
    assert len(message) < 700
    assert "\n" not in message
    return message


def test_a_good_file_and_extra_bindings(gin_file):
    assert config.resolve(OptimizerConfig, [gin_file()], []) == MADE
    changed = config.resolve(
        OptimizerConfig, [gin_file()], ["OptimizerConfig.learning_rate = 0.5", "OptimizerConfig.b1 = 0"]
    )
    assert (changed.learning_rate, changed.b1, changed.policies) == (0.5, 0, MADE.policies)


def test_files_are_read_in_order_and_include_others(gin_file):
    first = gin_file()
    second = gin_file(f'include "{first}"\noptimizer.OptimizerConfig.learning_rate = 0.25\n', "second.gin")
    assert config.resolve(OptimizerConfig, [second], []).learning_rate == 0.25
    third = gin_file("optimizer.OptimizerConfig.learning_rate = 0.125\n", "third.gin")
    assert config.resolve(OptimizerConfig, [second, third], []).learning_rate == 0.125


@pytest.mark.parametrize("path", sorted((ROOT / "gin/runs").glob("*.gin")), ids=lambda path: path.stem)
def test_the_projects_runs_resolve_and_survive_saving(path, monkeypatch):
    monkeypatch.chdir(ROOT)  # their includes are relative to the root
    run = config.resolve(RunConfig, [str(path)], [])
    own = {
        "quickstart": 3,
        "open_web": 3,
        "finetune_480": 1,
        "openflamingo_smollm2_dinov2": 2,
    }  # the others are of the paper's mixture
    assert len(run.mixture.datasets) == own.get(path.stem, 4)
    saved = config.to_config_dict(run)
    assert isinstance(saved, ml_collections.ConfigDict)
    assert saved.model.language.num_layers == run.model.language.num_layers
    assert config.from_config_dict(saved) == run
    assert config.from_config_dict(json.loads(config.to_json(run))) == run


@pytest.mark.parametrize(
    ("change", "names"),
    [
        (("learning_rate", "learning_rat"), ["'learning_rat'", "run.gin", "line 10"]),
        (("@resampler/optimizer.Policy()", "@resampler/optimizer.Polizy()"), ["Polizy", "run.gin", "line 7"]),
        (
            ("OptimizerConfig.learning_rate = 3e-3", "OptimizerConfig.learning_rate = = 3"),
            ["run.gin", "line 10", "= = 3"],
        ),
        (("OptimizerConfig.policies", "OptimizerConfig.b2"), ["OptimizerConfig needs a binding of 'policies'"]),
        (("training import optimizer", "training import optimiser"), ["optimiser", "run.gin", "line 4"]),
        (("\n}", "\n"), ["run.gin", "learning_rate"]),
        (("0.0\n", "(0.0,\n"), ["run.gin", "not closed"]),
        (("3e-3", "%RATE"), ["'RATE/gin.macro'"]),
    ],
    ids=["parameter", "class", "value", "required", "import", "brace", "bracket", "macro"],
)
def test_each_mistake_in_a_file_is_named(gin_file, change, names):
    assert change[0] in GIN
    message = error(OptimizerConfig, [gin_file(GIN.replace(*change))])
    for name in names:
        assert name in message


@pytest.mark.parametrize(
    ("binding", "names"),
    [
        ("optimizer.OptimizerConfig.beta = 1", ["'beta'", "extra bindings"]),
        ("optimizer.OptimiserConfig.b1 = 1", ["'optimizer.OptimiserConfig'", "extra bindings"]),
        ("optimizer.OptimizerConfig.b1 = 1 +", ["extra bindings", "b1 = 1 +"]),
        ("optimizer.OptimizerConfig.b1", ["extra bindings"]),
        ("optimizer.OptimizerConfig.b1 = @nothing.Here()", ["@nothing.Here()"]),
    ],
)
def test_each_mistake_in_a_binding_is_named(gin_file, binding, names):
    message = error(OptimizerConfig, [gin_file()], (binding,))
    for name in names:
        assert name in message


def test_missing_files(gin_file, caplog):
    assert "absent.gin" in error(OptimizerConfig, ["absent.gin"])
    message = error(OptimizerConfig, [gin_file(f'include "absent.gin"\n{GIN}')])
    assert "absent.gin" in message and "run.gin" in message
    assert "no gin file" in error(OptimizerConfig, [])
    assert not caplog.records  # the error alone says it
    logging.error("still heard")
    assert len(caplog.records) == 1


def test_a_file_that_is_no_text(tmp_path):
    path = tmp_path / "run.gin"
    path.write_bytes(b"\xff\xfe\x00\x01")
    assert "run.gin" in error(OptimizerConfig, [str(path)])


def test_a_refused_value_is_told_without_gins_own_story(gin_file):
    text = """
from __gin__ import dynamic_registration
from flamingo_jax.data import mixture
from flamingo_jax.data import pairs
mixture.MixtureConfig.datasets = (("pairs", @big/pairs.PairsConfig()),)
pairs.PairsConfig.path = "corpus"
pairs.PairsConfig.batch_size = 4
big/pairs.PairsConfig.prefix_space = 7
"""
    message = error(MixtureConfig, [gin_file(text)])
    assert message.endswith("prefix_space must lie in [0, 1], got 7 (in scope 'big')")


@pytest.mark.parametrize(
    ("binding", "name"),
    [
        ("checkpoints.CheckpointConfig.every = 2", "checkpoints.CheckpointConfig.every"),  # nothing builds the class
        ("lost/optimizer.Policy.weight_decay = 1", "lost/optimizer.Policy.weight_decay"),  # nothing uses the scope
        ("new_tokens/deep/optimizer.Policy.weight_decay = 1", "new_tokens/deep/optimizer.Policy.weight_decay"),
        ("lost/optimizer.OptimizerConfig.b1 = 1", "lost/optimizer.OptimizerConfig.b1"),  # built, but not in that scope
        ("IDLE = 3", "IDLE"),
    ],
    ids=["class", "scope", "inner scope", "scope of the root", "macro"],
)
def test_a_binding_that_nothing_uses_is_an_error(gin_file, binding, name):
    text = GIN.replace("\noptimizer.Opt", "\ncheckpoints.CheckpointConfig.keep = 1\noptimizer.Opt", 1)
    assert "CheckpointConfig.keep" in error(OptimizerConfig, [gin_file(text)])
    message = error(OptimizerConfig, [gin_file(GIN)], (binding,))
    assert message.startswith(f"nothing uses this binding: {name}. ") or "No configurable matching" in message
    assert name.rpartition(".")[0] in message


def test_an_uncalled_reference_does_not_use_bindings(gin_file):
    message = error(
        OptimizerConfig, [gin_file(GIN.replace("@resampler/optimizer.Policy()", "@resampler/optimizer.Policy"))]
    )
    assert "resampler/optimizer.Policy.weight_decay" in message


def test_a_binding_that_all_scopes_replace_is_unused(gin_file):
    both = "optimizer.Policy.weight_decay = 0.3\n"
    # Still used by one scope: fine. Replaced in both: whoever set it would wonder.
    assert config.resolve(OptimizerConfig, [gin_file(GIN + both)], []).policies["new_tokens"].weight_decay == 0.3
    message = error(OptimizerConfig, [gin_file(GIN + both + "new_tokens/optimizer.Policy.weight_decay = 0.2\n")])
    assert message.startswith("nothing uses this binding: optimizer.Policy.weight_decay. ")


def test_many_unused_bindings_are_cut_short(gin_file):
    text = GIN + "".join(f"scope{place}/optimizer.Policy.weight_decay = 1.0\n" for place in range(10))
    message = error(OptimizerConfig, [gin_file(text)])
    assert "scope7/" in message and "scope8/" not in message and "and 2 more" in message


def test_used_in_scopes_of_every_kind(gin_file):
    text = """
from __gin__ import dynamic_registration
from flamingo_jax.training import optimizer
DECAY = 0.5
optimizer.OptimizerConfig.policies = {
    "inner": @outer/inner/optimizer.Policy(),
    "plain": @optimizer.Policy(),
}
outer/optimizer.Policy.weight_decay = %DECAY
outer/inner/optimizer.Policy.learning_rate_scale = 3.0
optimizer.Policy.weight_decay = 0.25
"""
    made = config.resolve(OptimizerConfig, [gin_file(text)], [])
    assert made.policies == {"inner": Policy(0.5, 3.0), "plain": Policy(0.25, 1.0)}


def test_resolving_again_remembers_nothing(gin_file):
    path = gin_file()
    assert config.resolve(OptimizerConfig, [path], ["resampler/optimizer.Policy.weight_decay = 9.0"]) != MADE
    assert config.resolve(OptimizerConfig, [path], []) == MADE
    error(OptimizerConfig, [path], ("optimizer.OptimizerConfig.beta = 1",))
    assert config.resolve(OptimizerConfig, [path], []) == MADE
    error(OptimizerConfig, [path], ("IDLE = 3",))
    assert config.resolve(OptimizerConfig, [path], []) == MADE


def test_a_config_dict_round_trip():
    saved = config.to_config_dict(MADE)
    assert saved.policies.resampler.weight_decay == 0.0
    assert config.from_config_dict(saved) == MADE
    assert config.from_config_dict(json.loads(config.to_json(MADE))) == MADE


@dataclasses.dataclass(frozen=True)
class Foreign:
    """A class that could be rebuilt, but is none of the package's."""

    config: int


@pytest.mark.parametrize(
    "name", ["tests.test_config.Foreign", "flamingo_jax_too.config.Foreign", "flamingo_jax.config.to_json"]
)
def test_only_configuration_classes_of_ours_are_rebuilt(name):
    with pytest.raises(ConfigError, match=rf"{name}.*(is not a class of this package|is not a configuration class)"):
        config.from_config_dict({"_type": name, "config": 1})


@pytest.mark.parametrize(
    "change",
    [
        {"every": None, "evry": 3},
        {"_type": "flamingo_jax.training.checkpoints.Gone"},
        {"_type": "flamingo_jax.gone.It"},
    ],
)
def test_a_config_of_another_version_is_refused(change):
    saved = json.loads(config.to_json(CheckpointConfig(7, 1))) | change
    with pytest.raises(ConfigError, match="cannot rebuild flamingo_jax"):
        config.from_config_dict({key: value for key, value in saved.items() if value is not None})


@pytest.mark.parametrize(
    ("binding", "named"),
    [
        ("run.RunConfig.loss_per = 'row'", "'row'"),
        ("run.RunConfig.steps = 0", r"RunConfig\.steps must be a positive integer"),
        ("flamingo.FlamingoConfig.cross_attention_every = -1", "every -1 layers"),
    ],
)
def test_values_that_mean_nothing_are_refused_before_anything_is_read(tiny_gin, binding, named):
    with pytest.raises(ConfigError, match=named):
        config.resolve(RunConfig, [str(tiny_gin)], [binding])
