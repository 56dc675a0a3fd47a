"""One run a workdir: who trains in it holds its lease, a file that is renewed all the time.

Two runs in one folder would overwrite each other's checkpoints. A lock of the operating system would keep them apart on
one machine, but not in an object store or on every network disk, so the lock is a file that its holder keeps changing:
a lease that has not changed for `timeout_seconds` belongs to nobody. Clocks of two machines are never compared; each
measures by its own how long it saw no change, or did not manage to make one.
"""

import contextlib
import dataclasses
import logging
import math
import os
import secrets
import socket
import threading
import time

from etils import epath

from flamingo_jax.training.lease_claim import Claim
from flamingo_jax.training.lease_file import Outcome, lease_file
from flamingo_jax.training.mirror import is_local
from flamingo_jax.training.process_identity import identity

FILE = "lease.json"
"""The lease's name in the workdir."""

_logger = logging.getLogger(__name__)

_BEATS = 4  # renewals in the time after which a lease belongs to nobody
_LOOKS = 30  # at another's lease in that time, at least, and
_EVERY = 1.0  # seconds between two, at most: it may be released
_LINGER = 10.0  # seconds that leaving waits for a renewal under way

# Where there is one, a clock that also counts the time for which the whole machine sleeps: others run on meanwhile.
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class LeaseError(RuntimeError):
    """Another run has the workdir, or may have it: the message says who, and what to do."""


class Lease:
    """The lease of a workdir, held inside the context and renewed by a thread.

    Args:
      workdir: local or in an object store. A local one is made if need be.
      timeout_seconds: after which a lease that nobody renews may be taken over, and one that could not be renewed is
        given up. A holder whose own timeout is longer is given that time.
      settle_seconds: after which a claim that could be overwritten unseen counts as the last one. That is so in object
        stores, on file systems without hard links or locks, and when a lease was taken over after waiting. It must be
        longer than a read and a write take.
    """

    def __init__(self, workdir: epath.Path, timeout_seconds: float = 60.0, settle_seconds: float = 5.0):
        self._workdir, self._path = workdir, workdir / FILE
        self._timeout, self._settle = timeout_seconds, settle_seconds
        self._file = lease_file(self._path)
        self._wake, self._closing = threading.Event(), False
        self._tried, self._attempts = threading.Condition(), 0
        self._lost: str | None = f"the lease of {workdir} has not been taken"
        self._pid = 0

    def __enter__(self) -> "Lease":
        """Takes the lease; waits for up to the timeout if it is another's who may be dead.

        Raises:
          LeaseError: another run holds it.
          OSError: the file cannot be read or written.
        """
        self._pid = os.getpid()
        self._claim = Claim(
            token=secrets.token_hex(16),
            host=socket.gethostname(),
            pid=self._pid,
            process=identity(),
            since=time.time(),
            timeout=self._timeout,
        )
        try:
            self._made = is_local(self._workdir) and not self._workdir.exists()
            self._file.prepare()
            self._take()
        except LeaseError:
            raise
        except Exception as error:
            # Storage packages raise errors of their own.
            number, cause = getattr(error, "errno", None), getattr(error, "strerror", None) or error
            message = f"cannot take the lease of the workdir, {self._path}: {cause}"
            raise (OSError(number, message) if number else OSError(message)) from error
        self._lost, self._closing = None, False
        self._wake.clear()
        self._thread = threading.Thread(target=self._renew_forever, name="lease", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exception) -> None:
        """Releases the lease, if it is still held, and removes a workdir that was made for it and is empty.

        Does not raise: a lease that could not be removed runs out.
        """
        if os.getpid() != self._pid:
            return  # a forked child: the lease is its parent's
        self._closing = True
        self._wake.set()
        self._thread.join(_LINGER)
        self._lost = self._lost or f"the lease of {self._workdir} has been released"
        if self._thread.is_alive():
            _logger.warning("could not release the lease %s: the file system does not answer", self._path)
            return
        try:
            self._remove()
            if self._made:
                with contextlib.suppress(OSError, ValueError):  # there is something in it (epath raises the latter)
                    self._workdir.rmdir()
        except Exception as error:
            _logger.warning("could not remove the lease %s (the next run will wait for it): %s", self._path, error)

    def check(self) -> None:
        """Returns if this process holds the lease. Cheap: it looks at what the thread found last.

        Only if that is longer ago than the timeout, as after the process was suspended, it waits for the thread to
        look again.

        Raises:
          LeaseError: it does not; nothing may be written to the workdir any more.
        """
        if os.getpid() != self._pid:
            raise LeaseError(f"the lease of {self._workdir} belongs to process {self._pid}, not to its child")
        if self._lost is None and self._age() > self._timeout:
            self._wait_for_attempt()
        if self._lost is not None:
            raise LeaseError(self._lost)

    def _take(self) -> None:
        while True:
            seen, watched = self._file.read(), False
            if seen is not None and not _is_dead(seen):
                seen, watched = self._watch(seen), True
            self._renewed = _now()
            outcome = self._file.replace(seen, self._claim.text())
            if outcome is not Outcome.REFUSED and (outcome is Outcome.WRITTEN or watched):
                self._let_settle()
            now = self._file.read()
            if now is not None:  # else it was released or removed meanwhile
                if self._is_own(now):
                    return
                raise self._refusal(now, "has just taken it")

    def _watch(self, seen: bytes) -> bytes | None:
        """Waits until it is clear that nobody renews the lease; returns it, or None once it is gone."""
        claim = Claim.parse(seen)
        patience = max(self._timeout, claim.timeout if claim else 0.0)
        holder = str(claim) if claim else "someone unknown (the file is damaged)"
        _logger.warning(
            "the workdir %s is in use by %s; waiting up to %.0f s to see whether that run is still alive",
            *(self._workdir, holder, patience),
        )
        looks = max(_LOOKS, math.ceil(patience / _EVERY))
        for _ in range(looks):  # counted, not measured: a machine that sleeps may keep the other one asleep too
            time.sleep(patience / looks)
            now = self._file.read()
            if now is None:
                return None
            if now != seen:
                raise self._refusal(now, "is using it: its lease is being renewed")
            if _is_dead(seen):
                break
        _logger.warning("taking over the lease of %s from %s", self._workdir, holder)
        return seen

    def _let_settle(self) -> None:
        """Waits until nobody can overwrite the claim any more without having seen it."""
        slow = _now() - self._renewed > self._settle
        try:
            # One so slow may itself have overwritten a settled claim: its holder is given the time to notice.
            time.sleep(max(self._settle, self._timeout / 2) if slow else self._settle)
        except BaseException:
            with contextlib.suppress(Exception):
                self._remove()
            raise

    def _refusal(self, text: bytes, what: str) -> LeaseError:
        who = Claim.parse(text) or "someone unknown (the file is damaged)"
        return LeaseError(
            f"the workdir {self._workdir} has a run already: {who} {what}. "
            "Wait for it or stop it and run the same command again, or choose another workdir"
        )

    def _remove(self) -> None:
        text = self._file.read()
        if text is not None and self._is_own(text):
            self._file.remove(text)

    def _is_own(self, text: bytes) -> bool:
        claim = Claim.parse(text)
        return claim is not None and claim.token == self._claim.token

    def _age(self) -> float:
        """Seconds since the lease was surely this process's."""
        return _now() - self._renewed

    def _wait_for_attempt(self) -> None:
        with self._tried:
            before = self._attempts
            self._wake.set()
            done = self._tried.wait_for(lambda: self._attempts > before or self._lost is not None, self._timeout)
        if not done:
            self._lose(f"could not be renewed for {self._age():.0f} s: {self._path} cannot be reached")

    def _renew_forever(self) -> None:
        failing = False
        while self._lost is None:
            self._wake.wait(self._timeout / _BEATS)
            self._wake.clear()
            if self._closing:
                return
            try:
                self._renew()
                failing = False
            except Exception as error:
                if self._age() > self._timeout:
                    self._lose(f"could not be renewed for {self._age():.0f} s: {error}")
                elif not failing:
                    _logger.warning("could not renew the lease %s, trying again: %s", self._path, error)
                failing = True
            with self._tried:
                self._attempts += 1
                self._tried.notify_all()

    def _renew(self) -> None:
        began = _now()
        seen = self._file.read()
        holder = Claim.parse(seen) if seen is not None else None
        if holder is None and self._age() > self._timeout:
            # Another run may have come, and gone.
            self._lose(f"was not renewed for {self._age():.0f} s, and is gone")
            return
        if holder is not None and holder.token != self._claim.token:
            self._lose(f"was taken over by {holder}")
            return
        # A file that is gone or damaged, but not another's, is written anew.
        claim = dataclasses.replace(self._claim, beat=self._claim.beat + 1)
        if self._file.replace(seen, claim.text()) is Outcome.REFUSED:
            raise OSError("the file has changed in this moment")
        if _now() - began > self._timeout:
            # Between the look and the write another run may have taken it, which this has overwritten.
            self._lose(f"was not renewed for {self._age():.0f} s")
            return
        self._claim, self._renewed = claim, began

    def _lose(self, why: str) -> None:
        self._lost = self._lost or (
            f"this run has lost the workdir {self._workdir}: its lease {why}. It may write nothing more there, so that "
            "two runs do not mix; if no other run goes on in it, run the same command again"
        )


def _now() -> float:
    return time.clock_gettime(_CLOCK)


def _is_dead(text: bytes) -> bool:
    claim = Claim.parse(text)
    return claim is not None and claim.is_dead()
