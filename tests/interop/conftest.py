"""Fixtures of the interop tests."""

import fsspec
import pytest
from etils import epath
from fsspec.implementations.memory import MemoryFileSystem


@pytest.fixture
def object_store():
    """A folder `az://bucket` that lives in memory: epath reaches it as it would reach a real object store."""
    fsspec.register_implementation("az", MemoryFileSystem, clobber=True)
    root = epath.Path("az://bucket")
    root.mkdir(parents=True, exist_ok=True)
    yield root
    MemoryFileSystem.store.clear()
    MemoryFileSystem.pseudo_dirs[:] = [""]
