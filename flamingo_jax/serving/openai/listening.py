"""Serving until a signal asks for the end."""

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import Iterator

import uvicorn
from starlette.types import ASGIApp

from flamingo_jax.serving.engine.engine import Engine

_logger = logging.getLogger(__name__)
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_TO_SAY_SO = 5.0  # seconds that responses may take which say that the server ends
_IN_A_HURRY = 1.0  # the same after a second signal


class _Server(uvicorn.Server):
    """Leaves signals to `serve`: uvicorn's own handling ends the process with the signal's status."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def serve(app: ASGIApp, engine: Engine, listening: socket.socket, drain_s: float) -> bool:
    """Serves until SIGTERM or SIGINT; then takes nothing new and finishes what is left, within `drain_s` seconds.

    What is left after that fails with a reason. A second signal ends the wait.

    Args:
      listening: see `address.listen`.

    Returns:
      Whether the engine has ended, see `Engine.close`.
    """
    return asyncio.run(_serve(app, engine, listening, drain_s))


def make_server(app: ASGIApp, drain_s: float) -> uvicorn.Server:
    """The HTTP server alone, which leaves signals to others; `drain_s` seconds after it is to end it breaks off."""
    return _Server(
        uvicorn.Config(
            app,
            http="h11",
            ws="none",
            lifespan="off",
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=drain_s,
        )
    )


async def _serve(app: ASGIApp, engine: Engine, listening: socket.socket, drain_s: float) -> bool:
    server = make_server(app, drain_s + _TO_SAY_SO)
    asked, again = asyncio.Event(), asyncio.Event()
    for number in _SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, lambda: (again if asked.is_set() else asked).set())
    serving = asyncio.create_task(server.serve([listening]))
    end, hurry = asyncio.create_task(asked.wait()), asyncio.create_task(again.wait())
    host, port = listening.getsockname()[:2]
    _logger.info("listening at http://%s:%d", f"[{host}]" if ":" in host else host, port)
    await asyncio.wait({serving, end}, return_when=asyncio.FIRST_COMPLETED)
    if not serving.done():
        _logger.info("asked to end: %d requests wait and %d are being answered", engine.depth, engine.running)
    server.should_exit = True
    closing = asyncio.create_task(asyncio.to_thread(engine.close, drain_s))
    await asyncio.wait({closing, hurry}, return_when=asyncio.FIRST_COMPLETED)
    if not closing.done():
        await asyncio.to_thread(engine.close)
    await asyncio.wait({serving, hurry}, return_when=asyncio.FIRST_COMPLETED)
    await asyncio.wait({serving}, timeout=_IN_A_HURRY)
    for connection in list(server.server_state.connections):  # of clients that are waited for
        connection.transport.abort()  # their requests end as if they had hung up
    await asyncio.wait({serving}, timeout=_IN_A_HURRY)
    serving.cancel()  # nothing, if it has ended
    with contextlib.suppress(asyncio.CancelledError):
        await serving
    hurry.cancel()
    end.cancel()
    return await closing
