"""A server that misbehaves, and an empty store."""

import pytest

from data_pipelines.fetching.store import ImageStore
from tests.data_pipelines.fetching.server import Server


@pytest.fixture
def server():
    """See `Server`."""
    running = Server()
    yield running
    running.close()


@pytest.fixture
def store(tmp_path):
    """Of images."""
    return ImageStore(tmp_path / "store")
