"""Where files of weights lie: a path, a `gs://` path, or inside an installed Python package."""

import importlib.util
from pathlib import Path

from etils import epath

_SCHEME = "package://"


def locate(path: str) -> epath.Path:
    """The file that `path` names. `package://NAME/FILE` is FILE inside the installed package NAME (not imported).

    Raises:
      FileNotFoundError: there is no such file or package, with what to do about it.
    """
    if path.startswith(_SCHEME):
        package, _, file = path[len(_SCHEME) :].partition("/")
        spec = importlib.util.find_spec(package)
        if spec is None or not spec.submodule_search_locations:
            raise FileNotFoundError(
                f"{path}: the Python package {package!r} is not installed; install it, or give a path"
            )
        found = epath.Path(Path(spec.submodule_search_locations[0]) / file)
    else:
        found = epath.Path(path).expanduser()
    if not found.exists():
        raise FileNotFoundError(f"{path}: no such file (looked at {found})")
    return found
