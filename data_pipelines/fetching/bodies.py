"""Bodies of answers, read and decoded within bounds: whoever sends them decides neither how long nor how large."""

import zlib
from collections.abc import Callable

import aiohttp

from data_pipelines.fetching import outcomes, sniffing
from data_pipelines.fetching.outcomes import Failure

Recognizer = Callable[[bytes], str | None]


async def read(response: aiohttp.ClientResponse, most: int, recognize: Recognizer) -> tuple[bytes, str]:
    """Reads and decodes a body, and stops as soon as it is too large or of a wrong type.

    Args:
      response: of a session that does not decode bodies itself.
      most: bytes, as sent and as decoded.
      recognize: takes the first bytes; the type of an accepted body, or None.

    Returns:
      The decoded body, and its type.

    Raises:
      Failure: too large, empty, of a wrong type, or not decodable; all of them last.
      aiohttp.ClientError, OSError: the connection failed.
    """
    if (response.content_length or 0) > most:
        raise Failure(outcomes.TOO_LARGE, lasting=True)
    decode = decoder(response.headers.get("Content-Encoding", ""))
    received, body, kind = 0, bytearray(), None
    async for piece in response.content.iter_any():
        received += len(piece)
        body += decode.feed(piece, most + 1 - len(body))
        if kind is None and len(body) >= sniffing.NEEDED:
            kind = _recognized(body, recognize)
        if max(received, len(body)) > most:
            raise Failure(outcomes.TOO_LARGE, lasting=True)
    decode.finish()
    if not body:
        raise Failure(outcomes.EMPTY, lasting=True)
    return bytes(body), kind or _recognized(body, recognize)


async def read_beginning(response: aiohttp.ClientResponse, most: int) -> bytes:
    """The first `most` bytes of a decoded body; the rest is not read.

    Raises:
      As `read`.
    """
    decode = decoder(response.headers.get("Content-Encoding", ""))
    body = bytearray()
    async for piece in response.content.iter_any():
        body += decode.feed(piece, most - len(body))
        if len(body) == most:
            break
    return bytes(body)


def _recognized(body: bytearray, recognize: Recognizer) -> str:
    kind = recognize(bytes(body[: sniffing.NEEDED]))
    if kind is None:
        raise Failure(outcomes.WRONG_TYPE, lasting=True)
    return kind


def decoder(encoding: str) -> "Plain | Inflating":
    """What undoes a Content-Encoding.

    Raises:
      Failure: an encoding that was not asked for, or several on top of each other.
    """
    match encoding.strip().lower():
        case "" | "identity":
            return Plain()
        case "gzip" | "x-gzip" | "deflate":
            return Inflating()
    raise Failure(outcomes.BAD_ENCODING, lasting=True)


class Plain:
    """A body that is sent as it is."""

    def feed(self, piece: bytes, most: int) -> bytes:
        """The first `most` bytes of the piece."""
        return piece[:most]

    def finish(self) -> None:
        """Nothing is left."""


class Inflating:
    """A body in gzip, zlib or raw deflate form; "deflate" means either of the last two, depending on the server."""

    def __init__(self):
        self._inflate = None
        self._members = 0

    def feed(self, piece: bytes, most: int) -> bytes:
        """What the next piece decodes to; nothing beyond `most` bytes is decoded.

        Raises:
          Failure: it is damaged.
        """
        found = bytearray()
        try:
            while piece and len(found) < most:
                if self._inflate is None:
                    if self._members and piece[:1] != b"\x1f":
                        break  # padding after the end; browsers overlook it too
                    self._inflate = zlib.decompressobj(_window(piece))
                found += self._inflate.decompress(piece, most - len(found))
                piece = self._inflate.unconsumed_tail
                if self._inflate.eof:  # another member of a gzip file may follow
                    piece, self._inflate = self._inflate.unused_data, None
                    self._members += 1
        except zlib.error:
            raise Failure(outcomes.BAD_ENCODING, lasting=True) from None
        return bytes(found)

    def finish(self) -> None:
        """Checks that the body has ended where its format says.

        Raises:
          Failure: something is missing.
        """
        if self._inflate is not None:
            raise Failure(outcomes.BAD_ENCODING, lasting=True)


def _window(head: bytes) -> int:
    """The `wbits` of zlib for what begins so: gzip or zlib by its header, or raw."""
    has_header = head[:1] == b"\x1f" or (head[0] & 15 == 8 and (len(head) < 2 or (head[0] << 8 | head[1]) % 31 == 0))
    return 47 if has_header else -15
