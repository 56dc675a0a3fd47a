"""Several processes that evaluate together: all ask and score alike, and what the first one writes counts."""

import contextlib
import tempfile
from collections.abc import Iterator

import jax
from etils import epath

from flamingo_jax.parallel.hosts import wait_for_all


@contextlib.contextmanager
def own_folder(output: epath.Path) -> Iterator[epath.Path]:
    """The folder that this process writes an evaluation into: process 0 into `output`, every other one into a copy of
    it that is thrown away.

    So all of them go on from the same rows. `output` is on storage that all of them see.
    """
    if jax.process_index() == 0:
        wait_for_all()  # before anything changes, the others have copied it
        yield output
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = epath.Path(folder) / "evaluation"
        if output.exists():
            _copy(output, copy)
        wait_for_all()
        yield copy


def _copy(source: epath.Path, target: epath.Path) -> None:
    target.mkdir()
    for path in source.iterdir():
        if path.is_dir():
            _copy(path, target / path.name)
        else:
            path.copy(target / path.name)
