"""An object store in memory behind gs:// paths, with what such stores do not have."""

import io
from typing import ClassVar

import pytest
from etils.epath import backend
from fsspec.implementations.memory import MemoryFileSystem


class ObjectStore(MemoryFileSystem):
    """Objects are written whole, and there is no appending.

    Attributes:
      away: whether every write fails, as when the network is down.
      writes: the objects that were written, in order.
    """

    protocol = "gs"
    store: ClassVar[dict] = {}
    pseudo_dirs: ClassVar[list] = [""]
    cachable = False

    def __init__(self):
        super().__init__()
        self.away, self.writes = False, []

    def _open(self, path, mode="rb", **options):
        if mode not in ("rb", "wb"):
            raise io.UnsupportedOperation(f"an object cannot be opened with {mode!r}")
        if mode == "wb":
            if self.away:
                raise ConnectionError("the store cannot be reached")
            self.writes.append(path)
        return super()._open(path, mode, **options)


@pytest.fixture
def object_store(monkeypatch) -> ObjectStore:
    """Stands behind all gs:// paths of a test; empty."""
    monkeypatch.setattr(ObjectStore, "store", {})
    monkeypatch.setattr(ObjectStore, "pseudo_dirs", [""])
    store = ObjectStore()
    monkeypatch.setattr(backend.fsspec_backend, "fs", lambda path: store)
    return store
