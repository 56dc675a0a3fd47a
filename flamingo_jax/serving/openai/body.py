"""A request's body: read within limits of size and time, and parsed within limits of depth and number."""

import asyncio
import json
import re
from typing import Any

from starlette.types import Receive

from flamingo_jax.serving.openai.errors import ApiError, invalid
from flamingo_jax.serving.openai.memory import Share

_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_DEEPEST = 32
_MOST_BESIDE_STRINGS = 200_000  # bytes: numbers and brackets become objects of 60 times their size


class HungUp(Exception):
    """The client hung up before all of its request had come."""


async def read_body(receive: Receive, claimed: str | None, share: Share, most: int, seconds: float) -> bytes:
    """The body, whose bytes are taken from the request's share of the memory as they arrive.

    Args:
      claimed: the header Content-Length; only saves the reading of what is too large.
      most: bytes.
      seconds: that it may take to arrive.

    Raises:
      ApiError: 413, it is too large; 429, too many are held; 408, it comes too slowly.
      HungUp: so did the client.
    """
    if claimed is not None and claimed.isdecimal() and int(claimed[:20]) > most:
        raise _too_large(most)
    parts, size, more = [], 0, True
    try:
        async with asyncio.timeout(seconds):
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise HungUp
                part, more = message.get("body", b""), message.get("more_body", False)
                size += len(part)
                if size > most:
                    raise _too_large(most)
                share.take(len(part))
                parts.append(part)
    except TimeoutError:
        raise ApiError(408, f"the body took more than {seconds:g} seconds to arrive") from None
    return b"".join(parts)


def _too_large(most: int) -> ApiError:
    return ApiError(413, f"the request has more than {most} bytes", code="request_too_large")


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
