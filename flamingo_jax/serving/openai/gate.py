"""What every request passes: who asks is checked, and the status of the response is counted."""

import collections
import hashlib
import hmac

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from flamingo_jax.serving.openai.errors import ApiError
from flamingo_jax.serving.openai.replies import refusal

OPEN = ("/health", "/ready")
"""Paths that need no key."""


class Gate:
    """Middleware that lets requests through, or refuses them."""

    def __init__(
        self, app: ASGIApp, keys: tuple[str, ...], hosts: tuple[str, ...], responses: collections.Counter[int]
    ):
        """
        Args:
          keys, hosts: see `ServerConfig`.
          responses: to count in, by status.
        """
        self._app, self._responses, self._hosts = app, responses, hosts
        self._keys = [_digest(key) for key in keys]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._responses[message["status"]] += 1
            await send(message)

        error = self._refusal(scope["path"], Request(scope).headers)
        await (self._app if error is None else refusal(error))(scope, receive, counted)

    def _refusal(self, path: str, headers: Headers) -> ApiError | None:
        if self._hosts and _name(headers.get("host", "")) not in self._hosts:
            return ApiError(403, f"this server is asked as {self._hosts[0]}", code="wrong_host")
        if self._keys and path not in OPEN and not self._knows(headers.get("authorization", "")):
            message = "send a key of this server: Authorization: Bearer KEY"
            return ApiError(401, message, kind="authentication_error", code="invalid_api_key")
        return None

    def _knows(self, header: str) -> bool:
        scheme, _, key = header.partition(" ")
        given = _digest(key.strip())
        # All are compared, so that time tells nothing.
        return scheme.lower() == "bearer" and sum(hmac.compare_digest(given, known) for known in self._keys) > 0


def _name(host: str) -> str:
    """The header Host without its port."""
    host = host.lower()
    return host if host.endswith("]") else host.rpartition(":")[0] or host


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()
