"""A process that holds the lease of a workdir, or one of several that want it at the same moment.

Usage: lease_program.py COMMAND WORKDIR TIMEOUT; the commands are the functions below. Prints what becomes of it.
"""

import functools
import os
import resource
import sys
import time
from pathlib import Path

from etils import epath

from flamingo_jax.training.lease import Lease, LeaseError
from flamingo_jax.training.lease_file import LocalFile, Outcome

say = functools.partial(print, flush=True)


class Slow(LocalFile):
    """Takes its time between a look and a write, so that others look in between."""

    def read(self) -> bytes | None:
        try:
            return super().read()
        finally:
            time.sleep(0.005)


def hold(lease: Lease, _: Path) -> None:
    """Until the lease is lost, or a line comes in."""
    with lease:
        say("taken")
        os.set_blocking(sys.stdin.fileno(), False)
        while not sys.stdin.readline():
            try:
                lease.check()
            except LeaseError as error:
                say(f"lost: {error}")
                return
            time.sleep(0.02)
    say("released")


def end(lease: Lease, _: Path) -> None:
    """Ends without releasing."""
    lease.__enter__()
    say("taken")


def fork(lease: Lease, workdir: Path) -> None:
    """Has a child that leaves the context before the parent does, and waits for what the lease does then."""
    with lease:
        if child := os.fork():
            os.waitpid(child, 0)
            before = (workdir / "lease.json").read_bytes()
            while (workdir / "lease.json").read_bytes() == before:
                time.sleep(0.02)
            lease.check()
            say("parent holds it")
        else:
            try:
                lease.check()
            except LeaseError as error:
                say(f"child: {error}")
    say("over")


def no_space(lease: Lease, _: Path) -> None:
    """Cannot write more than some bytes into a file."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
    try:
        lease.__enter__()
    except OSError as error:
        say(f"{type(error).__name__}: {error}")


def race(lease: Lease, workdir: Path) -> None:
    """For each line "WHEN FOLDER": takes that lease at that time of the monotonic clock; the next line ends it."""
    del lease
    for line in sys.stdin:
        when, folder = line.split()
        lease = Lease(epath.Path(workdir / folder), timeout_seconds=2)
        _wait_until(float(when))
        try:
            with lease:
                say("won")
                sys.stdin.readline()
        except LeaseError:
            say("refused")
            sys.stdin.readline()


def replace(_: Lease, workdir: Path) -> None:
    """For each line "WHEN FOLDER": replaces what is in WORKDIR/FOLDER.old by something else in FOLDER's file then."""
    for number, line in enumerate(sys.stdin):
        when, folder = line.split()
        old = LocalFile(workdir / f"{folder}.old").read()
        _wait_until(float(when))
        outcome = Slow(workdir / folder / "lease.json").replace(old, f"{os.getpid()} {number}".encode())
        say({Outcome.CERTAIN: "won", Outcome.REFUSED: "refused", Outcome.WRITTEN: "uncertain"}[outcome])


def _wait_until(when: float) -> None:
    while time.monotonic() < when:
        pass


if __name__ == "__main__":
    command, workdir, timeout = sys.argv[1:]
    globals()[command](Lease(epath.Path(workdir), timeout_seconds=float(timeout), settle_seconds=0.1), Path(workdir))
