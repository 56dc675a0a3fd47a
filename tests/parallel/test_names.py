"""The names of axes: those that rules may name are those that the documentation lists and that the models use."""

import ast
import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path

import jax
import pytest
from flax import linen as nn
from jax.sharding import PartitionSpec

from flamingo_jax import config as config_lib
from flamingo_jax.models.attention_kernels import _AXES
from flamingo_jax.models.flamingo import Flamingo, FlamingoConfig
from flamingo_jax.models.vision.vit import ViTConfig
from flamingo_jax.parallel.names import ACTIVATION_AXES, BATCH_AXES, NAMES, PARAMETER_AXES
from flamingo_jax.training.run import RunConfig
from flamingo_jax.training.state import abstract_variables
from tests import tiny

ROOT = Path(__file__).parents[2]
MODELS = ("flamingo_3b", "openflamingo_4b", "idefics_9b", "smollm2_135m_lite0")
"""Of gin/models: every kind of encoder, resampler, block and language model but learned positions."""


def documented(heading: str) -> list[str]:
    """The names in the first column of the table of docs/sharding.md that begins so."""
    _, _, rest = (ROOT / "docs/sharding.md").read_text().partition(f"| {heading} |")
    table = rest.split("\n\n")[0].splitlines()[2:]
    return [name for line in table for name in re.findall(r"`(\w+)`", line.split("|")[1])]


def of_parameters(config: FlamingoConfig) -> set[str]:
    """The names of the axes of all parameters, and of the scales of quantized ones."""
    specs = nn.get_partition_spec(abstract_variables(Flamingo(config)))
    leaves = jax.tree.leaves(specs, is_leaf=lambda x: isinstance(x, PartitionSpec))
    return {name for spec in leaves for name in spec if name is not None}


def of_activations() -> Iterator[str]:
    """The names that calls of `constrain`, `spec` and `parts_of` have in the source, and defaults of their callers."""
    for path in (ROOT / "flamingo_jax").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("constrain", "spec", "parts_of"):
                values = node.args
            elif isinstance(node, ast.arguments) and any(each.arg == "axis" for each in node.args):
                values = node.defaults
            else:
                continue
            yield from (each.value for each in values if isinstance(each, ast.Constant) and isinstance(each.value, str))


def test_the_documentation_lists_them():
    assert sorted(documented("names of parameters' axes")) == sorted(PARAMETER_AXES)
    activations = documented("names of activations' axes")
    assert set(ACTIVATION_AXES) <= set(activations) <= set(NAMES)
    assert len(set(NAMES)) == len(NAMES)


@pytest.mark.parametrize("name", MODELS)
def test_a_model_s_parameters_have_no_other(name, monkeypatch):
    monkeypatch.chdir(ROOT)
    files = [f"gin/models/{name}.gin", "gin/data/paper.gin", "gin/optim/adamw.gin"]
    found = of_parameters(config_lib.resolve(RunConfig, files, []).model)
    assert {"embed", "vocab", "resampler_embed"} < found <= set(PARAMETER_AXES)
    if name == "flamingo_3b":  # the paper's parts, a ViT's and learned positions have all that there are
        learned = dataclasses.replace(tiny.LANGUAGE, positions="learned")
        others = of_parameters(tiny.config(language=learned, vision=ViTConfig(8, 16, 2, 2, 32, 16)))
        assert found | others == set(PARAMETER_AXES)


def test_activations_have_no_other():
    found = {*of_activations(), *(name for names in _AXES.values() for name in names if name is not None)}
    assert {*ACTIVATION_AXES, "heads", "kv_heads", "mlp"} <= found <= set(NAMES)
    assert set(BATCH_AXES) <= found
