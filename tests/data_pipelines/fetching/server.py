"""An HTTP server on 127.0.0.1 that says, byte by byte and pause by pause, what a test tells it to, however wrong."""

import asyncio
import dataclasses
import socket
import struct
import threading
import time
from collections.abc import Sequence


class Reset:
    """In a script: the connection is reset."""


class Endless:
    """In a script: a piece without end."""

    def __init__(self, piece: bytes):
        self.piece = piece


Script = Sequence[bytes | float | Reset | Endless]  # numbers are pauses in seconds


def reply(body: bytes = b"", status: str = "200 OK", **headers: str) -> Script:
    """A whole answer; its Content-Length is right unless another is given."""
    fields = {"Content_Length": str(len(body)), **headers}
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in fields.items())
    return (f"HTTP/1.1 {status}\r\n{lines}\r\n".encode() + body,)


def moved(where: str) -> Script:
    """A redirect."""
    return reply(status="302 Found", Location=where)


@dataclasses.dataclass(frozen=True)
class Request:
    """What was asked, and when (`time.monotonic`)."""

    path: str
    headers: dict[str, str]
    time: float


class Server:
    """Answers each path with the scripts that `routes` has for it, one after the other; the last one remains."""

    def __init__(self):
        self.routes: dict[str, Script | list[Script]] = {}
        self.requests: list[Request] = []
        self.most_at_once = 0
        self.sent = 0  # bytes
        self._at_once = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server = self._run(asyncio.start_server(self._answer, "127.0.0.1", 0))
        self.port = self._server.sockets[0].getsockname()[1]

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        """An address of this server."""
        return f"http://{host}:{self.port}{path}"

    def asked(self) -> list[str]:
        """The paths that were asked for, without robots.txt."""
        return [request.path for request in list(self.requests) if request.path != "/robots.txt"]

    def close(self) -> None:
        """Ends all connections."""

        async def end():
            self._server.close()
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)

        self._run(end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            path = lines[0].split(" ")[1]
            headers = dict(line.split(": ", 1) for line in lines[1:] if line)
            self.requests.append(Request(path, headers, time.monotonic()))
            for step in self._script(path):
                await self._do(step, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client had enough, or the test is over
        finally:
            self._at_once -= 1
            writer.close()

    def _script(self, path: str) -> Script:
        script = self.routes.get(path, reply(status="404 Not Found"))
        if isinstance(script, list):
            return script.pop(0) if len(script) > 1 else script[0]
        return script

    async def _do(self, step: bytes | float | Reset | Endless, writer: asyncio.StreamWriter) -> None:
        if isinstance(step, float):
            await asyncio.sleep(step)
        elif isinstance(step, bytes):
            writer.write(step)
            await writer.drain()
            self.sent += len(step)
        elif isinstance(step, Endless):
            while True:
                writer.write(step.piece)
                await writer.drain()
                await asyncio.sleep(0)
        else:
            linger = struct.pack("ii", 1, 0)  # closing with unsent data and no patience sends a reset
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            writer.transport.abort()
