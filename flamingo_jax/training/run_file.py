"""The configuration that a run leaves in its workdir."""

import json

from etils import epath

from flamingo_jax.config import ConfigError, from_config_dict
from flamingo_jax.training.run import RunConfig

FILE = "config.json"


def read_run(workdir: epath.Path) -> RunConfig:
    """The configuration that the run in `workdir` was last started with.

    Raises:
      FileNotFoundError: no run was started there.
      ConfigError: the file is damaged, or of another version of this package.
    """
    path = workdir / FILE
    if not path.exists():
        raise FileNotFoundError(f"{workdir} is not the workdir of a run that was started: it has no {FILE}")
    try:
        run = from_config_dict(json.loads(path.read_text()))
    except (ValueError, RecursionError) as error:  # ConfigError is one
        raise ConfigError(f"{path} cannot be used: {error}") from error
    if not isinstance(run, RunConfig):
        raise ConfigError(f"{path} holds no run's configuration")
    return run
