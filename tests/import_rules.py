"""The rules of who may import whom, checked on source text: nothing is imported, so a broken module is judged too."""

import ast
import graphlib
import itertools
from collections.abc import Iterator, Mapping

# Each room may import itself and the rooms below it; rooms on one level do not know each other.
LEVELS = (
    {"models"},
    {"parallel", "interop", "html"},
    {"data"},
    {"training"},
    {"inference", "planning"},
    {"evaluation"},
    {"serving"},
    {"entry points"},
)
# What is narrower than the levels: the only modules of a room that another may import.
ONLY = {
    ("data", "interop"): {
        "flamingo_jax.interop.locate",
        "flamingo_jax.interop.files.tensors",
        "flamingo_jax.interop.files.gguf",
    },
    ("data_pipelines", "data"): {
        "flamingo_jax.data.document",
        "flamingo_jax.data.duplicates",
        "flamingo_jax.data.errors",
        "flamingo_jax.data.scenes.drawing",
        "flamingo_jax.data.scenes.scene",
        "flamingo_jax.data.scenes.words",
        "flamingo_jax.data.sources",
        "flamingo_jax.data.video",
    },
}
BASE = "flamingo_jax.config"  # may be imported by every room but the models, and imports nothing of ours
OURS = ("flamingo_jax", "data_pipelines")
FOREIGN_FRAMEWORKS = {"keras", "tensorflow", "tf_keras", "torch", "torchaudio", "torchvision"}
MAX_LINES = 400

_LEVEL = {room: level for level, rooms in enumerate(LEVELS) for room in rooms}


def check(sources: Mapping[str, str]) -> list[str]:
    """Every offence against the rules, one line each.

    Args:
      sources: the text of each module by its dotted name; a package has the name of its folder.
    """
    graph = {module: set(imports(module, text, sources)) for module, text in sources.items()}
    offences = []
    for module, imported in sorted(graph.items()):
        for other in sorted(imported):
            if reason := _forbidden(module, other):
                offences.append(f"{module} imports {other}: {reason}")
    return offences + _cycle({module: imported & graph.keys() - {module} for module, imported in graph.items()})


def imports(module: str, text: str, known: Mapping[str, str]) -> Iterator[str]:
    """The dotted names that `text` imports, anywhere in it: of a module of ours, the module itself (`known`)."""
    package = module if any(name.startswith(f"{module}.") for name in known) else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parent = package.split(".")[: 1 - node.level or None] if node.level else []
            origin = ".".join([*parent, *([node.module] if node.module else [])])
            for alias in node.names:
                full = f"{origin}.{alias.name}"
                yield full if full in known else origin
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in ("import_module", "__import__") and isinstance(node.args[0].value, str):
                yield node.args[0].value


def room(module: str) -> str:
    """The room that a module of ours is in."""
    top, _, rest = module.partition(".")
    if top != "flamingo_jax":
        return top
    name = rest.partition(".")[0]
    if module.endswith(".__main__"):
        return "entry points"
    return name if name in _LEVEL else "base" if module in (BASE, "flamingo_jax") else "entry points"


def _forbidden(module: str, other: str) -> str:
    """Why `module` may not import `other`; empty if it may."""
    root = other.partition(".")[0]
    if root in FOREIGN_FRAMEWORKS:
        return f"{root} is not to be depended on"
    if root == "gin" and module != BASE:
        return f"only {BASE} knows gin"
    if root == "tests":
        return "tests are not part of the product"
    if root not in OURS:
        return ""
    here, there = room(module), room(other)
    if here == there and here != "base":
        return ""
    if (here, there) in ONLY:
        allowed = ONLY[here, there]
        return "" if other in allowed else f"of {there}, {here} may import only {', '.join(sorted(allowed))}"
    if there == "base":
        return "models import nothing of ours but models" if here == "models" else ""
    if here in _LEVEL and there in _LEVEL and _LEVEL[there] < _LEVEL[here]:
        return ""
    return f"{here} may not import {there}"


def _cycle(graph: Mapping[str, set[str]]) -> list[str]:
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        # The sorter lists each module before the one that imports it.
        return ["modules import each other in a circle: " + " -> ".join(reversed(error.args[1]))]
    return []


def check_file(path: str, text: str) -> list[str]:
    """Offences of a file's name or length."""
    offences = []
    if path.rpartition("/")[2] == "utils.py":
        offences.append(f"{path}: name the file for the one thing that it does")
    lines = text.count("\n")
    if lines > MAX_LINES:
        offences.append(f"{path}: {lines} lines, more than {MAX_LINES}: split it")
    return offences


def packages_without_init(paths: list[str]) -> list[str]:
    """The folders that setuptools would leave out: a module within, or further down, but no `__init__.py`."""
    folders = set(itertools.chain.from_iterable(_folders(path) for path in paths))
    return sorted(folder for folder in folders if f"{folder}/__init__.py" not in paths)


def _folders(path: str) -> Iterator[str]:
    while folder := path.rpartition("/")[0]:
        yield folder
        path = folder
