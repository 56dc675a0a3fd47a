"""Processes that watch each other: when one dies or fails, the others end with a message that says so.

A step needs every process. JAX by itself lets the others wait in a collective until its own time is up, and then
aborts them without a word about who and why. So each process keeps one TCP connection to process 0 and says in short
intervals that it is there; process 0 tells all of them what became of one. The kernel closes the connections of a
killed process, so that its end is known at once; a machine that is gone is missed after some seconds.
"""

import contextlib
import dataclasses
import json
import os
import secrets
import selectors
import socket
import sys
import threading
import time
from collections.abc import Sequence
from typing import Any

STOPPED = 3
"""Exit status of a process that stopped because another one did."""

_BEATS = 6  # in the time after which a silent process counts as gone
_LINGER = 5.0  # seconds in which the others may end before process 0, whose end takes JAX's own service with it
_GRACE = 3.0  # seconds between the effects of one cause on several processes: the news of it, errors of collectives
_LONGEST = 1 << 16  # bytes without an end of line; more is not of ours
_MOST_TOLD = 2_000  # characters of an error's message that the others are told


@dataclasses.dataclass
class _Peer:
    """The other end of a connection; `process` is None until it has said who it is."""

    process: int | None = None
    host: str = ""
    done: bool = False
    buffer: bytes = b""
    heard: float = dataclasses.field(default_factory=time.monotonic)


class Watch:
    """This process's part of the watching, in a thread. Begins with `listen` or `connect`, ends with one of the others.

    Args:
      process, count: which of how many processes this is.
      timeout_seconds: after which a silent process counts as gone.
    """

    def __init__(self, process: int, count: int, timeout_seconds: float):
        self._process, self._count, self._timeout = process, count, timeout_seconds
        self._listener: socket.socket | None = None
        self._token = ""
        self._peers: dict[socket.socket, _Peer] = {}
        self._selector = selectors.DefaultSelector()
        self._sending = threading.Lock()
        self._verdict: dict[str, Any] = {}  # about the first process that went: {process, host, died or failed}
        self._own = ""  # the error that ends this process
        self._last: dict[str, Any] = {}  # what it has to say at its end
        self._told, self._ending, self._closing = threading.Event(), threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def listen(self, hosts: Sequence[str]) -> dict[str, Any]:
        """For process 0: begins, and returns what the others need for `connect`.

        Args:
          hosts: names or addresses of this machine, the likeliest to be reached first.
        """
        self._listener = socket.create_server(("", 0), backlog=self._count)
        self._listener.setblocking(False)
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._token = secrets.token_hex(8)
        self._thread.start()
        return {"port": self._listener.getsockname()[1], "token": self._token, "hosts": list(hosts)}

    def connect(self, address: dict[str, Any]) -> bool:
        """For the others: begins; False where process 0 cannot be reached, and then there is nothing to end."""
        for host in address["hosts"]:
            with contextlib.suppress(OSError):
                connection = socket.create_connection((host, address["port"]), timeout=_LINGER)
                self._add(connection, _Peer(0, address["hosts"][-1]))
                self._send(connection, {"token": address["token"]} | self._signature())
                self._thread.start()
                return True
        return False

    def leave(self) -> None:
        """This process has done its work, and so have the others: nobody misses it from here on."""
        self._end({"done": True})

    def failed(self, error: BaseException) -> None:
        """This process ends with an error. Tells the others, unless the error only follows from another one's end: then
        this does not return, but ends the process as that demands."""
        message = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        self._own = message[:_MOST_TOLD]
        self._ending.set()
        self._told.wait(_GRACE)
        self._end({"failed": self._own} | self._signature())

    def _end(self, last: dict[str, Any]) -> None:
        self._last = last
        self._closing.set()
        self._thread.join()

    def _run(self) -> None:
        due = time.monotonic()
        while not self._closing.is_set() and not self._told.is_set():
            if time.monotonic() >= due:
                due = time.monotonic() + self._timeout / _BEATS
                self._tell({})
                self._miss()
            self._listen()
        stops = self._told.is_set() and self._must_stop()
        if stops:
            print(f"error: {self._explanation()}", file=sys.stderr, flush=True)
        else:
            self._tell({"done": True} if self._told.is_set() else self._last)
        end = time.monotonic() + _LINGER
        while self._listener is not None and time.monotonic() < end and any(map(_is_known, self._peers.values())):
            self._listen()
        if stops:
            os._exit(STOPPED)  # a usual end would wait for the collective that the other one left
        for connection in [*self._peers, *filter(None, [self._listener])]:
            connection.close()

    def _must_stop(self) -> bool:
        """Whether the verdict ends this process; not if it ends by the same error, which all of them may meet."""
        if "died" in self._verdict:
            return True
        self._ending.wait(_GRACE)
        return self._own != self._verdict["failed"]

    def _explanation(self) -> str:
        verdict = self._verdict
        what = f"failed: {verdict['failed']}" if "failed" in verdict else f"died: {verdict['died']}"
        return (
            f"process {verdict['process']} of {self._count} (on {verdict['host']}) {what}. A step needs all processes, "
            f"so process {self._process} stops too. Updates since the newest checkpoint are lost, and nothing else: "
            "run the same command again, in as many processes as you like, to go on from there"
        )

    def _listen(self) -> None:
        """Takes what comes within a short time."""
        for key, _ in self._selector.select(min(self._timeout / _BEATS, 0.2)):
            if key.fileobj is self._listener:
                with contextlib.suppress(OSError):
                    self._add(self._listener.accept()[0], _Peer())
            else:
                self._hear(key.fileobj)

    def _hear(self, connection: socket.socket) -> None:
        peer = self._peers[connection]
        try:
            data = connection.recv(_LONGEST)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        peer.heard = time.monotonic()
        *lines, peer.buffer = (peer.buffer + data).split(b"\n")
        sane = all(self._take(peer, line) for line in lines) and len(peer.buffer) <= _LONGEST
        if not data or not sane:
            self._drop(connection)
            if peer.process is not None and not peer.done:
                self._decide(peer, died="its connection closed")

    def _take(self, peer: _Peer, line: bytes) -> bool:
        """Takes a message; False if the other end is no process of ours."""
        try:
            message = json.loads(line)
            if peer.process is None:
                if message["token"] != self._token:
                    return False
                peer.process, peer.host = int(message["process"]), str(message["host"])
        except (ValueError, TypeError, KeyError):
            return False
        if "done" in message:
            peer.done = True
        elif "failed" in message or "died" in message:
            peer.done = True
            self._decide(
                _Peer(message["process"], message["host"]),
                **{fate: message[fate] for fate in _FATES if fate in message},
            )
        return True

    def _miss(self) -> None:
        """Looks for who has been silent for too long."""
        for connection, peer in list(self._peers.items()):
            silent = time.monotonic() - peer.heard
            if silent > self._timeout and not peer.done:
                self._drop(connection)
                if peer.process is not None:
                    self._decide(peer, died=f"nothing has been heard of it for {silent:.0f} s")

    def _decide(self, peer: _Peer, **fate: str) -> None:
        """The first verdict counts; process 0 tells it to the others. None is made while all are ending."""
        if self._told.is_set() or self._closing.is_set():
            return
        self._verdict = {"process": peer.process, "host": peer.host, **fate}
        if self._listener is not None:
            self._tell(self._verdict)
        self._told.set()

    def _tell(self, message: dict[str, Any]) -> None:
        for connection, peer in list(self._peers.items()):
            if peer.process is not None:
                self._send(connection, message)

    def _send(self, connection: socket.socket, message: dict[str, Any]) -> None:
        # A connection that takes nothing is closed, or silent: reading it will tell.
        with self._sending, contextlib.suppress(OSError):
            connection.sendall(json.dumps(message).encode() + b"\n")

    def _signature(self) -> dict[str, Any]:
        return {"process": self._process, "host": socket.gethostname()}

    def _add(self, connection: socket.socket, peer: _Peer) -> None:
        connection.setblocking(False)
        self._peers[connection] = peer
        self._selector.register(connection, selectors.EVENT_READ)

    def _drop(self, connection: socket.socket) -> None:
        del self._peers[connection]
        self._selector.unregister(connection)
        connection.close()


_FATES = ("died", "failed")


def _is_known(peer: _Peer) -> bool:
    return peer.process is not None
