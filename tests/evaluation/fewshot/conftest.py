"""A model to ask."""

import pytest
from etils import epath

from flamingo_jax.inference.session import Session
from tests import tiny_run


@pytest.fixture(scope="package")
def workdir(tiny_config, tmp_path_factory) -> epath.Path:
    """Of a run that has made no update yet: its answers are noise, but always the same."""
    folder = epath.Path(tmp_path_factory.mktemp("run"))
    tiny_run.save_first(folder, tiny_config)
    return folder


@pytest.fixture(scope="package")
def session(workdir) -> Session:
    """The model, opened."""
    return Session.open(workdir)
