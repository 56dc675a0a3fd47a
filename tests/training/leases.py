"""What the tests of leases share: processes that hold one, and an object store without any."""

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from etils import epath

from flamingo_jax.training.lease import FILE, Lease, LeaseError
from flamingo_jax.training.lease_claim import Claim
from tests.patience import PATIENCE

ROOT = Path(__file__).parents[2]
SHORT = 0.5  # seconds until a lease that nobody renews may be taken
LONG = 600.0  # a test that waited for it would fail


class Store:
    """The workdir of an object store, and its objects: whole reads and writes, and nothing else."""

    def __init__(self, objects: dict[str, bytes] | None = None, name: str = "store://bucket/run"):
        self.objects, self.name = {} if objects is None else objects, name
        self.broken, self.slow = False, 0.0
        self.answers = threading.Event()
        self.answers.set()

    def __truediv__(self, name: str) -> "Store":
        inner = Store(self.objects, f"{self.name}/{name}")
        inner._do = self._do
        return inner

    def __fspath__(self) -> str:
        return self.name

    __str__ = __fspath__

    def read_bytes(self) -> bytes:
        self._do()
        try:
            return self.objects[self.name]
        except KeyError:
            raise FileNotFoundError(self.name) from None

    def write_bytes(self, data: bytes) -> None:
        self._do()
        self.objects[self.name] = data

    def unlink(self, missing_ok: bool) -> None:
        assert missing_ok
        self._do()
        self.objects.pop(self.name, None)

    def _do(self) -> None:
        time.sleep(self.slow)
        self.answers.wait(20)
        if self.broken:
            raise ConnectionError("the store is away")

    @property
    def text(self) -> bytes | None:
        return self.objects.get(f"{self.name}/{FILE}")


@contextlib.contextmanager
def program(command: str, workdir: os.PathLike, timeout: float = LONG) -> Iterator[subprocess.Popen]:
    """`lease_program.py`, which is killed at the end."""
    arguments = [sys.executable, "-m", "tests.training.lease_program", command, str(workdir), str(timeout)]
    with subprocess.Popen(arguments, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        guard = threading.Timer(PATIENCE, process.kill)  # who waits for a line gets an empty one
        guard.start()
        try:
            yield process
        finally:
            guard.cancel()
            process.kill()


def line(process: subprocess.Popen) -> str:
    return process.stdout.readline().strip()


def lease(workdir: os.PathLike | Store, timeout: float = SHORT, settle: float = 0.1) -> Lease:
    path = workdir if isinstance(workdir, Store) else epath.Path(workdir)
    return Lease(path, timeout_seconds=timeout, settle_seconds=settle)


def is_lost(held: Lease) -> bool:
    try:
        held.check()
    except LeaseError:
        return True
    return False


def outcomes(command: str, workdir: Path, rounds: int, text: bytes) -> Iterator[tuple[Path, Sequence[str]]]:
    """Of rounds in which four processes race for the lease of a folder, which is `text` in every second one: the folder
    and what each says."""
    with contextlib.ExitStack() as stack:
        racers = [stack.enter_context(program(command, workdir)) for _ in range(4)]
        ahead = 1.0  # seconds; at first they still start
        for number in range(rounds):
            folder = workdir / str(number)
            folder.mkdir()
            if number % 2 == 0:
                (folder / FILE).write_bytes(text)
                folder.with_suffix(".old").write_bytes(text)
            for racer in racers:
                print(time.monotonic() + ahead, folder.name, file=racer.stdin, flush=True)
            ahead = 0.01
            yield folder, [line(racer) for racer in racers]
            for racer in racers if command == "race" else ():
                print("next", file=racer.stdin, flush=True)


def claim_of(workdir: Path) -> Claim:
    return Claim.parse((workdir / FILE).read_bytes())
