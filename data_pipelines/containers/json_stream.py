"""One JSON value of any size, an element at a time: a list, or an object that holds lists, at the top of a file."""

import io
import json
import re
from collections.abc import Iterator
from typing import Any, TextIO

from data_pipelines.containers import damage, line_streams
from data_pipelines.output import BuildError

MAX_ELEMENT = 1 << 26  # characters; what is longer is no entry of a list of captions, but a broken file read as one
_CHUNK = 1 << 20  # characters
_SPACE = re.compile(r"[ \t\r\n]*")
_MAY_GO_ON = {"", *"0123456789.eE+-"}  # what may follow the beginning of a number
_DECODER = json.JSONDecoder()


def elements(path: str) -> Iterator[tuple[str, Any]]:
    """The elements of the list at the top of a file, or those of the lists in the object there.

    At most one element and a megabyte of text are in memory. The file may be compressed (`line_streams`). Bytes that
    are not UTF-8 come as lone surrogates, as `errors="surrogateescape"` has them.

    Yields:
      ("", element) of a list; (key, element) of an object's list; (key, value) of what else an object has.

    Raises:
      BuildError: the file is no JSON from some place on (cut off, perhaps), neither list nor object, or has an element
        of more than `MAX_ELEMENT` characters.
      OSError: it cannot be read.
    """
    try:
        for stream in line_streams.streams(path):
            yield from _Reader(path, as_text(stream)).top()
    except damage.ERRORS as error:
        raise BuildError(f"{path} is damaged: {damage.explain(error)}") from None


def as_text(stream) -> TextIO:
    """A stream of bytes as text with its ends of lines as they are: UTF-8 and UTF-16 with their byte-order marks."""
    stream = stream if hasattr(stream, "peek") else io.BufferedReader(stream)
    if stream.peek(2)[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return io.TextIOWrapper(stream, encoding="utf-16", errors="replace", newline="")
    return io.TextIOWrapper(stream, encoding="utf-8-sig", errors="surrogateescape", newline="")


class _Reader:
    """A place in a text of which the part from there on is in memory as far as it was needed."""

    def __init__(self, path: str, file: TextIO):
        self._path, self._file = path, file
        self._text, self._at, self._before = "", 0, 0

    def top(self) -> Iterator[tuple[str, Any]]:
        opening = self._next()
        if opening == "[":
            yield from (("", element) for element in self._list())
        elif opening == "{":
            yield from self._object()
        else:
            raise self._error("neither a list nor an object") if opening else BuildError(f"{self._path} is empty")
        if self._next():
            raise self._error("more after the end; a file with an object a line must be named .jsonl")

    def _list(self) -> Iterator[Any]:
        self._at += 1
        if self._next() == "]":
            self._at += 1
            return
        while True:
            yield self._value()
            if self._separator("]") == "]":
                return

    def _object(self) -> Iterator[tuple[str, Any]]:
        self._at += 1
        if self._next() == "}":
            self._at += 1
            return
        while True:
            key = self._value() if self._next() == '"' else None
            if key is None or self._separator("") != ":":
                raise self._error("not a key and its value")
            if self._next() == "[":
                yield from ((key, element) for element in self._list())
            else:
                yield key, self._value()
            if self._separator("}") == "}":
                return

    def _separator(self, end: str) -> str:
        """Passes over what stands between two values: a comma, a colon after a key (`end` empty), or the `end`."""
        found = self._next()
        if found not in ((",", end) if end else (":",)):
            raise self._error("the file ends here" if not found else f"{found!r} is out of place")
        self._at += 1
        return found

    def _next(self) -> str:
        """The next character that is no white space; "" at the end of the file."""
        while True:
            self._at = _SPACE.match(self._text, self._at).end()
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more():
                return ""

    def _value(self) -> Any:
        self._next()
        while True:
            try:
                value, end = _DECODER.raw_decode(self._text, self._at)
                if self._text[end : end + 1] not in _MAY_GO_ON:
                    self._at = end
                    return value
                reason = "the file ends here"
            except RecursionError:
                raise self._error("nested too deeply") from None
            except json.JSONDecodeError as error:
                reason = error.msg.removesuffix(" at")
            except ValueError as error:  # a number of thousands of digits
                raise self._error(str(error)) from None
            if len(self._text) - self._at > MAX_ELEMENT:
                raise self._error(f"an element of more than {MAX_ELEMENT:,} characters")
            if not self._more():
                raise self._error(reason)

    def _more(self) -> bool:
        """Reads on, twice as much each time that an element is not complete."""
        rest = self._text[self._at :]
        chunk = self._file.read(max(_CHUNK, len(rest)))
        self._before += self._at
        self._text, self._at = rest + chunk, 0
        return bool(chunk)

    def _error(self, reason: str) -> BuildError:
        place = self._before + self._at
        return BuildError(f"{self._path} is not JSON from character {place:,} on: {reason} (is the file cut off?)")
