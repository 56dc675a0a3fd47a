"""The files of an input: listed without leaving it, in a fixed order."""

import os
from pathlib import Path

from data_pipelines.output import BuildError


def list_files(root: Path) -> list[str]:
    """Every regular file below `root`, as paths relative to it with forward slashes, in the order of their names.

    Symbolic links to folders are not followed; those to files are listed, and whoever reads one checks where it leads.

    Raises:
      BuildError: `root` does not exist, is not a folder, or holds no file.
    """
    if not root.exists():
        raise BuildError(f"--input {root} does not exist")
    if not root.is_dir():
        raise BuildError(f"--input {root} is not a folder")
    found = []
    for folder, folders, names in os.walk(root):
        folders.sort()
        relative = Path(folder).relative_to(root)
        found += [(relative / name).as_posix() for name in names if (Path(folder) / name).is_file()]
    if not found:
        raise BuildError(f"--input {root} is an empty folder")
    return sorted(found)


def is_inside(root: Path, path: Path) -> bool:
    """Whether a file lies below `root` with every symbolic link followed."""
    return path.resolve().is_relative_to(root.resolve())
