"""The configurations that a run leaves in its workdir: the newest, and those that it had before."""

import json
import re

from etils import epath

from flamingo_jax.config import ConfigError, from_config_dict, to_json
from flamingo_jax.html.files import write_whole
from flamingo_jax.training.run import RunConfig

FILE = "config.json"
_EARLIER = re.compile(r"config_until_(\d+)\.json")


def write_run(workdir: epath.Path, config: RunConfig, step: int) -> None:
    """Writes the configuration of all updates after `step`; that of the updates before stays beside it if it differs.

    Raises:
      OSError: it cannot be written.
    """
    path, text = workdir / FILE, to_json(config)
    for end in _ends(workdir):
        if end > step:  # of updates that are given up, or of another run that was here
            (workdir / f"config_until_{end}.json").unlink(missing_ok=True)
    if path.exists() and step and (before := path.read_text()) != text:
        earlier = workdir / f"config_until_{step}.json"
        if not earlier.exists():  # a start that made no update may have left it
            write_whole(earlier, before)
    write_whole(path, text)


def read_run(workdir: epath.Path, step: int | None = None) -> RunConfig:
    """The configuration that the run in `workdir` was last started with, or that its update `step` was made by.

    Raises:
      FileNotFoundError: no run was started there.
      ConfigError: the file is damaged, or of another version of this package.
    """
    path = workdir / FILE if step is None else _of_update(workdir, step)
    if not path.exists():
        raise FileNotFoundError(f"{workdir} is not the workdir of a run that was started: it has no {FILE}")
    try:
        run = from_config_dict(json.loads(path.read_text()))
    except (ValueError, RecursionError) as error:  # ConfigError is one
        raise ConfigError(f"{path} cannot be used: {error}") from error
    if not isinstance(run, RunConfig):
        raise ConfigError(f"{path} holds no run's configuration")
    return run


def _of_update(workdir: epath.Path, step: int) -> epath.Path:
    """The first of the earlier configurations that was still in use, or the newest."""
    end = next((end for end in _ends(workdir) if step <= end), None)
    return workdir / (FILE if end is None else f"config_until_{end}.json")


def _ends(workdir: epath.Path) -> list[int]:
    """The last updates of the earlier configurations, ascending."""
    names = [path.name for path in workdir.iterdir()] if workdir.exists() else []
    return sorted(int(match[1]) for name in names if (match := _EARLIER.fullmatch(name)))
