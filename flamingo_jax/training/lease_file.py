"""A small file that several processes may want to replace, each only if it still holds what that one read.

A file system has what it takes to be certain: `link` creates a file or fails, a lock keeps others out while one looks
and replaces. Object stores have neither; there, and where a file system lacks them, the last one who writes wins, and
the caller has to look again after a while.
"""

import contextlib
import enum
import errno
import fcntl
import os
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from etils import epath

from flamingo_jax.training.mirror import is_local

_LOCK_SECONDS = 1.0  # a lock is held for moments; for longer only by a process that was suspended just then
_NO_LINKS = {errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EMLINK, errno.EXDEV}


class Outcome(enum.Enum):
    """What became of `replace`."""

    REFUSED = "the file does not hold what was to be replaced"
    WRITTEN = "written; someone else may do the same at this moment, and the last one wins"
    CERTAIN = "written, and nobody else replaced the same"


class LeaseFile(Protocol):
    """The file at one path. Contents are compared as a whole, so no two writers may write the same."""

    def prepare(self) -> None:
        """Makes the folder. Raises OSError if it cannot be made."""

    def read(self) -> bytes | None:
        """What the file holds; None if there is none. Raises OSError, or what the store raises, on other failures."""

    def replace(self, old: bytes | None, new: bytes) -> Outcome:
        """Writes `new` if the file holds `old` (None: if there is no file). Raises like `read`."""

    def remove(self, old: bytes) -> None:
        """Removes the file if it holds `old`. Raises like `read`."""


def lease_file(path: epath.Path) -> LeaseFile:
    """The file at a local path or in an object store (`gs://...`)."""
    return LocalFile(path) if is_local(path) else ObjectFile(path)


class LocalFile:
    """On a file system of this machine or a network's. A reader sees whole contents only; see `LeaseFile`."""

    def __init__(self, path: os.PathLike):
        self._path = Path(path).absolute()  # the working directory may change later

    def prepare(self) -> None:
        """See `LeaseFile`."""
        self._path.parent.mkdir(parents=True, exist_ok=True)

    def read(self) -> bytes | None:
        """See `LeaseFile`."""
        try:
            return self._path.read_bytes()
        except FileNotFoundError:
            return None

    def replace(self, old: bytes | None, new: bytes) -> Outcome:
        """See `LeaseFile`."""
        temporary = self._path.with_name(f".{self._path.name}.{secrets.token_hex(4)}")
        try:
            temporary.write_bytes(new)
            if old is None:
                return self._create(temporary, new)
            with self._locked() as locked:
                if self.read() != old:
                    return Outcome.REFUSED
                temporary.replace(self._path)
                return Outcome.CERTAIN if locked else Outcome.WRITTEN
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)

    def remove(self, old: bytes) -> None:
        """See `LeaseFile`."""
        with self._locked():
            if self.read() == old:
                self._path.unlink()

    def _create(self, temporary: Path, new: bytes) -> Outcome:
        try:
            self._path.hardlink_to(temporary)
        except FileExistsError:
            # NFS may repeat a request that was carried out, when the answer was lost.
            return Outcome.CERTAIN if self.read() == new else Outcome.REFUSED
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            if self.read() is not None:
                return Outcome.REFUSED
            temporary.replace(self._path)
            return Outcome.WRITTEN
        return Outcome.CERTAIN

    @contextlib.contextmanager
    def _locked(self) -> Iterator[bool]:
        """Locks the file that is at the path now, and tells whether that succeeded.

        Who replaces the file locks it first, and each replacing makes a new file: of all that lock the same one, the
        first finds it still at the path. The lock of a process that dies goes with it.
        """
        locked = False
        with contextlib.ExitStack() as stack:
            with contextlib.suppress(OSError):
                # NFS locks exclusively only what is open for writing.
                descriptor = os.open(self._path, os.O_RDWR | os.O_CLOEXEC)
                stack.callback(os.close, descriptor)
                locked = _lock(descriptor)
                # Said explicitly: a forked child has a copy of the descriptor, and would keep the lock.
                stack.callback(_unlock, descriptor)
            yield locked


def _lock(descriptor: int) -> bool:
    end = time.monotonic() + _LOCK_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() > end:
                return False
            time.sleep(0.01)
        except OSError:
            return False  # this file system has no locks


def _unlock(descriptor: int) -> None:
    with contextlib.suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_UN)


class ObjectFile:
    """In an object store: reads and writes are whole, and there is nothing else; see `LeaseFile`."""

    def __init__(self, path: epath.Path):
        self._path = path

    def prepare(self) -> None:
        """Nothing: objects need no folder."""

    def read(self) -> bytes | None:
        """See `LeaseFile`."""
        try:
            return self._path.read_bytes()
        except FileNotFoundError:
            return None

    def replace(self, old: bytes | None, new: bytes) -> Outcome:
        """See `LeaseFile`."""
        if self.read() != old:
            return Outcome.REFUSED
        self._path.write_bytes(new)
        return Outcome.WRITTEN

    def remove(self, old: bytes) -> None:
        """See `LeaseFile`."""
        if self.read() == old:
            self._path.unlink(missing_ok=True)
