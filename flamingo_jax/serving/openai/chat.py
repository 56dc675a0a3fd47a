"""`/v1/chat/completions`."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping

from anyio import CapacityLimiter, create_task_group, to_thread
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from flamingo_jax.serving.engine.engine import Engine
from flamingo_jax.serving.engine.events import CANCELLED, Delta, Done, Event, Failed
from flamingo_jax.serving.engine.ticket import Ticket
from flamingo_jax.serving.openai import asking
from flamingo_jax.serving.openai.body import HungUp, read_body
from flamingo_jax.serving.openai.chunks import Completion, event
from flamingo_jax.serving.openai.config import ServerConfig
from flamingo_jax.serving.openai.errors import ApiError, failed, invalid
from flamingo_jax.serving.openai.memory import Memory, Share
from flamingo_jax.serving.openai.messages import Reference
from flamingo_jax.serving.openai.remote import FetchError, fetch

_READERS = 4  # threads that parse requests and decode pictures: each may hold a large picture
_FETCHERS = 16  # threads that wait for the web


class Chat:
    """The endpoint. A client that hangs up frees its place in the engine, whether it was streamed to or not."""

    def __init__(self, engine: Engine, config: ServerConfig):
        self._engine, self._config = engine, config
        self._memory = Memory(config.held_bytes)
        self._readers, self._fetchers = CapacityLimiter(_READERS), CapacityLimiter(_FETCHERS)

    @property
    def held(self) -> int:
        """Bytes of requests that are read or answered."""
        return self._memory.held

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request.

        Raises:
          ApiError: it is refused, or failed before anything was sent.
        """
        headers = Request(scope).headers
        if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            # Web pages of others may send any but this without asking first.
            raise ApiError(415, "the body is JSON: send the header Content-Type: application/json")
        with self._memory.share() as share:
            try:
                ticket, completion, stream = await self._submit(receive, headers.get("content-length"), share)
            except HungUp:
                return
            async with _watched(receive, ticket):
                await (self._stream if stream else self._whole)(ticket, completion, send)

    async def _submit(self, receive: Receive, claimed: str | None, share: Share) -> tuple[Ticket, Completion, bool]:
        """Puts a request into the engine's queue; afterwards nothing is held but what the engine needs.

        Returns:
          The ticket, how its answer is written, and whether it is streamed.
        """
        asked = await self._read(receive, claimed, share)
        fetched = await self._fetch(asked.remote, share)
        ticket, dropped = await to_thread.run_sync(
            asking.submit, asked, fetched, self._engine, self._config, limiter=self._readers
        )
        share.keep(asking.held(ticket.request))
        parameters = asked.parameters
        return ticket, Completion(self._config.model, dropped, parameters.include_usage), parameters.stream

    async def _read(self, receive: Receive, claimed: str | None, share: Share) -> asking.Asked:
        body = await read_body(receive, claimed, share, self._config.body_bytes, self._config.body_s)
        return await to_thread.run_sync(asking.read, body, self._config, limiter=self._readers)

    async def _fetch(self, remote: Mapping[str, Reference], share: Share) -> dict[str, bytes]:
        """What all addresses have. Where one fails, those under way end with their next part, and no other begins."""
        fetched = {}

        async def one(url: str, reference: Reference) -> None:
            limits = self._config.uploads.bytes, self._config.fetch_s
            try:
                fetched[url] = await to_thread.run_sync(fetch, url, *limits, share.take, limiter=self._fetchers)
            except FetchError as error:
                share.close()
                raise invalid(f"{reference.where}: {error}", reference.where, code="invalid_image_url") from None
            except ApiError:
                share.close()
                raise

        try:
            async with create_task_group() as group:
                for url, reference in remote.items():
                    group.start_soon(one, url, reference)
        except BaseExceptionGroup as failed_ones:
            raise failed_ones.exceptions[0] from None
        return fetched

    async def _whole(self, ticket: Ticket, completion: Completion, send: Send) -> None:
        text = ""
        async for told in ticket:
            if isinstance(told, Delta):
                text += told.text
        if _unwanted(told):
            return
        if isinstance(told, Failed):
            raise failed(told)
        body = completion.whole(text, told)
        await self._begin(send, b"application/json", (b"content-length", b"%d" % len(body)))
        await self._send(send, body, more=False)

    async def _stream(self, ticket: Ticket, completion: Completion, send: Send) -> None:
        begun = False
        async for told in ticket:
            if _unwanted(told):
                return
            if not begun:
                if isinstance(told, Failed):  # still in time for a status of its own
                    raise failed(told)
                begun = True
                await self._begin(send, b"text/event-stream")
                await self._send(send, completion.first())
            await self._send(send, _written(told, completion), more=isinstance(told, Delta))

    async def _begin(self, send: Send, kind: bytes, *more: tuple[bytes, bytes]) -> None:
        headers = [(b"content-type", kind), (b"cache-control", b"no-cache"), *more]
        await send({"type": "http.response.start", "status": 200, "headers": headers})

    async def _send(self, send: Send, body: bytes, more: bool = True) -> None:
        """Raises TimeoutError if the client does not read."""
        async with asyncio.timeout(self._config.send_s):
            await send({"type": "http.response.body", "body": body, "more_body": more})


def _written(told: Event, completion: Completion) -> bytes:
    if isinstance(told, Delta):
        return completion.more(told.text)
    return completion.last(told) if isinstance(told, Done) else event(failed(told).body)


def _unwanted(told: Event) -> bool:
    return isinstance(told, Failed) and told.kind == CANCELLED


@contextlib.asynccontextmanager
async def _watched(receive: Receive, ticket: Ticket) -> AsyncIterator[None]:
    """A context in which the ticket is cancelled when the client hangs up, and after which nobody wants it any more."""

    async def wait() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        ticket.cancel()

    waiting = asyncio.create_task(wait())
    try:
        yield
    finally:
        waiting.cancel()
        ticket.cancel()
