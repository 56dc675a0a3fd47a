"""Errors as OpenAI's clients read them: a status, and JSON with one line."""

import dataclasses
import math
import textwrap
from typing import Any

from flamingo_jax.serving.engine.events import BAD_REQUEST, CLOSING, TIMEOUT, Failed
from flamingo_jax.serving.engine.request import Busy, Closing

INVALID = "invalid_request_error"
_LONGEST = 300  # characters of a message; what a client sent may be quoted in it
_AGAIN = 5  # seconds after which a request that timed out is worth another try


@dataclasses.dataclass
class ApiError(Exception):
    """Ends a request.

    Attributes:
      status: of HTTP.
      message: one line: what is wrong, and what to do.
      param: the field that is wrong, such as "messages[0].content".
      kind: OpenAI's `type`.
      code: for programs.
      retry_after: whole seconds, for the header of that name.
    """

    status: int
    message: str
    param: str | None = None
    kind: str = INVALID
    code: str | None = None
    retry_after: int | None = None

    @property
    def body(self) -> dict[str, Any]:
        """What JSON is sent."""
        line = textwrap.shorten(_harmless(self.message), _LONGEST, placeholder=" ...")
        error = {"message": line[:_LONGEST], "type": self.kind, "param": self.param, "code": self.code}
        return {"error": error}

    @property
    def headers(self) -> dict[str, str]:
        """What is sent beside it."""
        return {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}


def invalid(message: str, param: str | None = None, code: str | None = None) -> ApiError:
    """The request is at fault (400)."""
    return ApiError(400, message, param, code=code)


def busy(error: Busy) -> ApiError:
    """The engine takes nothing more now: 429, or 503 where it is being closed."""
    seconds = max(1, math.ceil(error.retry_after))
    if isinstance(error, Closing):
        return ApiError(503, error.reason, kind="server_error", code="closing", retry_after=seconds)
    return ApiError(429, error.reason, kind="rate_limit_error", code="queue_full", retry_after=seconds)


def failed(event: Failed) -> ApiError:
    """A request that the engine took, and that came to nothing."""
    if event.kind == BAD_REQUEST:
        return invalid(event.reason, "messages")
    if event.kind in (TIMEOUT, CLOSING):
        return ApiError(503, event.reason, kind="server_error", code=event.kind, retry_after=_AGAIN)
    return ApiError(500, event.reason, kind="server_error", code=event.kind)


def quoted(value: Any) -> str:
    """What a client sent, in few characters."""
    text = value if isinstance(value, str) else repr(value) if isinstance(value, (int, float, bool)) else None
    if text is None:
        return {type(None): "null", list: "a list", dict: "an object"}.get(type(value), type(value).__name__)
    text = _harmless(text[:100])
    text = text if len(text) <= 60 else f"{text[:57]}..."
    return repr(text) if isinstance(value, str) else text


def _harmless(text: str) -> str:
    """The text in what UTF-8 can write, without letters that control terminals."""
    return "".join(letter if letter.isprintable() else " " for letter in text)
