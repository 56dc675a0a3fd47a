"""Imports point one way.

Entry points -> serving -> evaluation -> inference -> training -> data -> parallel, interop, html -> models.
"""

import itertools
from pathlib import Path

import pytest

from tests import import_rules

ROOT = Path(__file__).parents[1]
PACKAGES = ("flamingo_jax", "data_pipelines")
# Written for an environment of their own, with the peers' frameworks.
PEERS = ("tests/goldens/", "benchmarks/loader_webdataset.py")


def our_files() -> dict[str, str]:
    """The text of every Python file of the project, by path from its root."""
    folders = (*PACKAGES, "benchmarks", "launch", "tests", "tools")
    paths = [ROOT / "setup.py", *(path for folder in folders for path in sorted((ROOT / folder).rglob("*.py")))]
    return {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in paths}


def product_modules() -> dict[str, str]:
    files = {path: text for path, text in our_files().items() if path.startswith(PACKAGES)}
    return {path.removesuffix(".py").removesuffix("/__init__").replace("/", "."): text for path, text in files.items()}


def test_the_product_keeps_the_rules():
    modules = product_modules()
    assert {import_rules.room(module) for module in modules} >= {"base", "models", "data", "training", "entry points"}
    assert import_rules.check(modules) == []


def test_every_file_is_short_and_well_named():
    assert [offence for path, text in our_files().items() for offence in import_rules.check_file(path, text)] == []


def test_every_package_would_be_installed():
    assert import_rules.packages_without_init([path for path in our_files() if path.startswith(PACKAGES)]) == []


def test_nothing_outside_the_goldens_needs_another_framework():
    for path, text in our_files().items():
        if not path.startswith(PEERS):
            roots = {name.partition(".")[0] for name in import_rules.imports("module", text, {})}
            assert not roots & import_rules.FOREIGN_FRAMEWORKS, path


def test_the_exception_for_goldens_is_needed():
    texts = [text for path, text in our_files().items() if path.startswith(PEERS)]
    assert any("torch" in import_rules.imports("module", text, {}) for text in texts)


# The rest tries the checker on made-up modules: a rule that cannot fail holds nothing.

MODULES = {
    "flamingo_jax": "",
    "flamingo_jax.config": "import gin",
    "flamingo_jax.models": "",
    "flamingo_jax.models.attention": "import jax",
    "flamingo_jax.models.vision.encoder": "",
    "flamingo_jax.parallel": "",
    "flamingo_jax.parallel.mesh": "",
    "flamingo_jax.interop": "",
    "flamingo_jax.interop.locate": "",
    "flamingo_jax.interop.llama": "",
    "flamingo_jax.html": "",
    "flamingo_jax.html.markup": "",
    "flamingo_jax.data": "",
    "flamingo_jax.data.document": "",
    "flamingo_jax.data.pairs": "",
    "flamingo_jax.data.inspect": "",
    "flamingo_jax.data.inspect.__main__": "",
    "flamingo_jax.training": "",
    "flamingo_jax.training.step": "",
    "flamingo_jax.inference": "",
    "flamingo_jax.inference.cache": "",
    "flamingo_jax.evaluation": "",
    "flamingo_jax.evaluation.run": "",
    "flamingo_jax.command_line": "",
    "flamingo_jax.train": "",
    "data_pipelines": "",
    "data_pipelines.pairs": "",
}


@pytest.mark.parametrize(
    "module, text",
    [
        ("models.attention", "from flamingo_jax.models.vision import encoder"),
        ("models.attention", "from .vision.encoder import Encoder"),
        ("parallel.mesh", "from flamingo_jax import config as config_lib"),
        ("parallel.mesh", "from flamingo_jax.models.attention import attention"),
        ("interop.llama", "from flamingo_jax.interop.locate import locate"),
        ("data.pairs", "from flamingo_jax.interop import locate"),
        ("data.pairs", "from flamingo_jax.parallel import mesh"),
        ("data.pairs", "from flamingo_jax.html.markup import tag"),
        ("data.inspect.__main__", "from flamingo_jax import command_line\nfrom flamingo_jax.training import step"),
        ("training.step", "from flamingo_jax.interop import llama"),
        ("training.step", "from flamingo_jax.data.pairs import PairsConfig"),
        ("inference.cache", "from flamingo_jax.training import step"),
        ("evaluation.run", "from flamingo_jax.inference import cache"),
        ("train", "from flamingo_jax import command_line, config"),
        ("train", "from flamingo_jax.models import attention"),
        ("data.pairs", "import tensorflow_datasets as tfds"),
        ("data.pairs", "import torchless_reader"),
    ],
)
def test_may(module, text):
    assert import_rules.check(MODULES | {f"flamingo_jax.{module}": text}) == []


@pytest.mark.parametrize(
    "module, text, offence",
    [
        ("flamingo_jax.models.attention", "from flamingo_jax import config", "models import nothing of ours"),
        ("flamingo_jax.models.attention", "from flamingo_jax.parallel.mesh import x", "models may not import parallel"),
        ("flamingo_jax.models.vision.encoder", "from ...data import pairs", "models may not import data"),
        ("flamingo_jax.models", "from ..data import pairs", "models may not import data"),
        ("flamingo_jax.parallel.mesh", "from flamingo_jax.interop import llama", "parallel may not import interop"),
        ("flamingo_jax.interop.llama", "import flamingo_jax.data.pairs as p", "interop may not import data"),
        ("flamingo_jax.data.pairs", "from flamingo_jax.interop import llama", "of interop, data may import only"),
        ("flamingo_jax.data.pairs", "from flamingo_jax.interop import *", "of interop, data may import only"),
        ("flamingo_jax.data.pairs", "from flamingo_jax import training", "data may not import training"),
        ("flamingo_jax.data.pairs", "from flamingo_jax.data.inspect import __main__", "may not import entry points"),
        ("flamingo_jax.html.markup", "from flamingo_jax.data import pairs", "html may not import data"),
        ("flamingo_jax.training.step", "from flamingo_jax import evaluation", "training may not import evaluation"),
        ("flamingo_jax.inference.cache", "import flamingo_jax.evaluation.run", "inference may not import evaluation"),
        ("flamingo_jax.evaluation.run", "from flamingo_jax import command_line", "may not import entry points"),
        ("flamingo_jax.config", "from flamingo_jax.data import pairs", "base may not import data"),
        ("flamingo_jax.train", "from data_pipelines import pairs", "may not import data_pipelines"),
        ("flamingo_jax.train", "from tests import tiny", "tests are not part of the product"),
        ("data_pipelines.pairs", "from flamingo_jax.data import pairs", "may import only flamingo_jax.data.document"),
        ("data_pipelines.pairs", "from flamingo_jax.models import attention", "may not import models"),
        ("flamingo_jax.train", "import gin", "only flamingo_jax.config knows gin"),
        ("flamingo_jax.data.pairs", "from gin import config", "only flamingo_jax.config knows gin"),
        ("flamingo_jax.data.pairs", "import torch.nn as nn", "torch is not to be depended on"),
        ("data_pipelines.pairs", "from tensorflow import io", "tensorflow is not to be depended on"),
        ("flamingo_jax.data.pairs", "def f():\n  import torch", "torch is not to be depended on"),
        ("flamingo_jax.data.pairs", "importlib.import_module('torch')", "torch is not to be depended on"),
        ("flamingo_jax.models.attention", "if TYPE_CHECKING:\n  import flamingo_jax.train", "may not import entry"),
    ],
)
def test_may_not(module, text, offence):
    found = import_rules.check(MODULES | {module: text})
    assert len(found) == 1
    assert found[0].startswith(f"{module} imports ")
    assert offence in found[0]


def test_a_circle_within_a_room_is_found():
    circle = {
        "flamingo_jax.data.pairs": "from flamingo_jax.data import document",
        "flamingo_jax.data.document": "from flamingo_jax.data import media",
        "flamingo_jax.data.media": "from .pairs import x",
    }
    (offence,) = import_rules.check(MODULES | circle)
    assert offence.startswith("modules import each other in a circle: ")
    path = offence.partition(": ")[2].split(" -> ")
    assert path[0] == path[-1] and set(path) == circle.keys()
    for importer, imported in itertools.pairwise(path):
        assert imported.rpartition(".")[2] in circle[importer]


def test_a_package_that_its_own_module_imports_is_a_circle():
    package = {"flamingo_jax.data": "from flamingo_jax.data import pairs"}
    assert import_rules.check(MODULES | package) == []
    module = {"flamingo_jax.data.pairs": "from flamingo_jax.data import Pairs"}
    assert len(import_rules.check(MODULES | package | module)) == 1


def test_a_broken_file_is_an_error():
    with pytest.raises(SyntaxError):
        import_rules.check({"flamingo_jax.train": "import"})


@pytest.mark.parametrize(
    "path, lines, offences",
    [("a/utils.py", 1, 1), ("utils.py", 1, 1), ("a/my_utils.py", 1, 0), ("a.py", 400, 0), ("a.py", 401, 1)],
)
def test_files(path, lines, offences):
    assert len(import_rules.check_file(path, "x = 1\n" * lines)) == offences


def test_folders_without_init():
    paths = ["a/__init__.py", "a/b/c/d.py", "a/b/c/__init__.py", "a/e.py"]
    assert import_rules.packages_without_init(paths) == ["a/b"]
