"""A request's body: read within limits of size and time, and parsed within limits of depth and number."""

import asyncio
import json
import re
from typing import Any

from starlette.types import Receive

from flamingo_jax.serving.openai.errors import ApiError, invalid

_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_DEEPEST = 32
_MOST_BESIDE_STRINGS = 200_000  # bytes: numbers and brackets become objects of 60 times their size


class Intake:
    """Reads bodies, and counts the bytes of all that are held at a time."""

    def __init__(self, each: int, together: int, seconds: float):
        """
        Args:
          each, together: bytes of one body and of all, at most.
          seconds: that a body may take to arrive.
        """
        self._each, self._together, self._seconds = each, together, seconds
        self.held = 0

    async def read(self, receive: Receive, claimed: str | None) -> bytes:
        """The body. The caller gives its length to `release` when nothing of it is needed any more.

        Args:
          claimed: the header Content-Length; only saves the reading of what is too large.

        Raises:
          ApiError: 413, it is too large; 429, too many are held; 408, it comes too slowly.
          ConnectionResetError: the client hung up.
        """
        if claimed is not None and claimed.isdecimal() and int(claimed[:20]) > self._each:
            raise self._too_large()
        parts, size = [], 0
        try:
            async with asyncio.timeout(self._seconds):
                more = True
                while more:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise ConnectionResetError
                    part, more = message.get("body", b""), message.get("more_body", False)
                    parts.append(part)
                    size += len(part)
                    self.held += len(part)
                    if size > self._each:
                        raise self._too_large()
                    if self.held > self._together:
                        reason = "the server holds as many requests as it has memory for: try again later"
                        raise ApiError(429, reason, kind="rate_limit_error", code="memory_full", retry_after=2)
        except BaseException as error:
            self.release(size)
            if isinstance(error, TimeoutError):
                raise ApiError(408, f"the body took more than {self._seconds:g} seconds to arrive") from None
            raise
        return b"".join(parts)

    def release(self, size: int) -> None:
        """So many bytes are not held any more."""
        self.held -= size

    def _too_large(self) -> ApiError:
        return ApiError(413, f"the request has more than {self._each} bytes", code="request_too_large")


def parse(body: bytes) -> dict[str, Any]:
    """The JSON object of a body.

    Raises:
      ApiError: it is no JSON, no object, nested too deep, of too many values, or has text that is no Unicode.
    """
    beside = _STRING.sub(b"", body)
    if len(beside) > _MOST_BESIDE_STRINGS:
        raise invalid(f"the JSON has more than {_MOST_BESIDE_STRINGS} characters beside its texts")
    depth = 0
    for letter in beside:
        depth += (letter in b"[{") - (letter in b"]}")
        if depth > _DEEPEST:
            raise invalid(f"the JSON is nested more than {_DEEPEST} deep")
    try:
        parsed = json.loads(body.decode("utf-8"), parse_constant=_refuse)
    except UnicodeDecodeError:
        raise invalid("the body is not UTF-8") from None
    except (ValueError, RecursionError) as error:  # ValueError also: a number of thousands of digits
        raise invalid(f"the body is not JSON: {str(error).partition(';')[0]}") from None
    if not isinstance(parsed, dict):
        raise invalid("the body is not a JSON object")
    _check_texts(parsed)
    return parsed


def _refuse(constant: str):
    raise ValueError(f"{constant} is no JSON number")


def _check_texts(value: Any) -> None:
    """Raises ApiError if a text has half a pair of surrogates, which `\\ud800` may write and nobody can encode."""
    if isinstance(value, str):
        try:
            value.isascii() or value.encode()
        except UnicodeEncodeError:
            raise invalid("a text has half of a surrogate pair, which is no character") from None
    elif isinstance(value, dict):
        for key, entry in value.items():
            _check_texts(key)
            _check_texts(entry)
    elif isinstance(value, list):
        for entry in value:
            _check_texts(entry)
